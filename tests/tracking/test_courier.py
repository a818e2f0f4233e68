"""The thread between a study and a store that may be away: the study never waits, nothing is lost, one note."""

from __future__ import annotations

import time

import pytest

from studio.tracking.courier import Courier
from studio.tracking.mlflow_run import Ending

END = Ending(at=0.0, result={"feasible": True})


class Away:
    """A store that fails so many times before it answers; `taken` is what it has."""

    def __init__(self, failures: int = 0, slow: float = 0.0):
        self.failures, self.slow, self.taken, self.ended, self.attached = failures, slow, [], False, 0

    def attach(self, alive):
        self.attached += 1
        return self

    def catch_up(self, steps, ending):
        time.sleep(self.slow)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("nobody there")
        self.taken += [step for step in steps if step not in self.taken]
        self.ended = ending is not None


@pytest.fixture
def courier(monkeypatch):
    monkeypatch.setattr("studio.tracking.courier._FIRST_PAUSE", 0.05)
    return lambda store, patience=10.0: Courier(store.attach, lambda error: f"away: {error}", patience)


STEPS = [(float(number), {"step": number}) for number in range(20)]


def test_nothing_is_lost_while_the_store_is_away(courier):
    store = Away(failures=3)
    carrying = courier(store)
    for step in STEPS:
        carrying.add([step])
    assert carrying.end(END)
    assert store.taken == STEPS
    assert store.ended
    assert store.attached == 4  # after every failure the store is asked anew what it has
    assert carrying.notes() == ["away: nobody there"]
    assert carrying.notes() == []


def test_a_slow_store_does_not_hold_the_study_up(courier):
    carrying = courier(Away(slow=0.5))
    begun = time.monotonic()
    for step in STEPS:
        carrying.add([step])
    assert time.monotonic() - begun < 0.25  # one answer of the store takes twice as long
    assert carrying.end(END)


def test_quick_steps_travel_together(courier):
    """20 steps of 10 ms need no more than the first delivery, one a second, and the end."""
    store = Away()
    store.deliveries = 0

    def count(steps, ending, catch_up=store.catch_up):
        store.deliveries += 1
        catch_up(steps, ending)

    store.catch_up = count
    carrying = courier(store)
    for step in STEPS:
        carrying.add([step])
        time.sleep(0.01)
    assert carrying.end(END)
    assert store.taken == STEPS
    assert store.deliveries <= 4


def test_the_end_waits_no_longer_than_its_patience(courier):
    store = Away(failures=1_000_000)
    carrying = courier(store, patience=0.5)
    carrying.add(STEPS)
    begun = time.monotonic()
    assert not carrying.end(END)
    assert 0.5 <= time.monotonic() - begun < 5.0
    attempts = store.attached
    time.sleep(0.3)
    assert store.attached <= attempts + 1  # nobody knocks for ever


def test_an_error_of_any_kind_is_an_attempt_that_failed(courier):
    class Odd(Away):
        def attach(self, alive):
            if self.attached == 0:
                self.attached += 1
                raise ValueError("odd")
            return super().attach(alive)

    store = Odd()
    carrying = courier(store)
    carrying.add(STEPS)
    assert carrying.end(END)
    assert store.taken == STEPS
