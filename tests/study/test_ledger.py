"""What is in the ledger survives: half-written lines, interrupted steps, damaged files, a second process, a full disk."""

import errno
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, StudioError
from studio.study.ledger import CHECKPOINT, HISTORY, TRAJECTORY, Ledger


def state(number: float):
    return {
        "design": np.full((3, 2), number),
        "key": jax.random.key(int(number)),
        "step": int(number),
        "rate": 0.1 * number,
        "memory": (jnp.asarray(number), np.asarray(True)),
    }


def test_state_comes_back_bit_by_bit(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.save(state(3.0), ledger.append(HISTORY, {"step": 0}))
        loaded = ledger.load(state(0.0))
    assert loaded is not None
    for found, expected in zip(jax.tree.leaves(loaded), jax.tree.leaves(state(3.0)), strict=True):
        assert type(found) is type(expected)
        if isinstance(expected, jax.Array) and jnp.issubdtype(expected.dtype, jax.dtypes.prng_key):
            found, expected = jax.random.key_data(found), jax.random.key_data(expected)
        np.testing.assert_array_equal(found, expected)


def test_a_step_without_checkpoint_does_not_count(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.save(state(1.0), ledger.append(HISTORY, {"step": 1}))
        ledger.append(HISTORY, {"step": 2})
        with (tmp_path / HISTORY).open("a") as stream:
            stream.write('{"step": 3, "obj')
        assert [line["step"] for line in ledger.lines(HISTORY)] == [1, 2]
        loaded = ledger.load(state(0.0))
        assert loaded is not None
        assert loaded["step"] == 1
        assert (tmp_path / HISTORY).read_text() == '{"step":1}\n'


@pytest.mark.parametrize("kept", [0, 1, 3, 4])
def test_the_trajectory_is_cut_with_the_history(tmp_path, kept):
    """To as many lines as count; where lines were lost, what is left stays."""
    with Ledger(tmp_path) as ledger:
        for step in range(3):
            ledger.append(TRAJECTORY, {"step": step})
            ledger.save(state(float(step)), ledger.append(HISTORY, {"step": step}))
        ledger.append(TRAJECTORY, {"step": 3})
        lines = (tmp_path / TRAJECTORY).read_text().splitlines(keepends=True)
        (tmp_path / TRAJECTORY).write_text("".join(lines[:kept]) + '{"step"')
        ledger.load(state(0.0))
        assert (tmp_path / TRAJECTORY).read_text() == "".join(lines[: min(kept, 3)])


def test_history_without_any_checkpoint_is_begun_anew(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.append(HISTORY, {"step": 0})
        assert ledger.load(state(0.0)) is None
        assert (tmp_path / HISTORY).read_text() == ""


def test_lost_lines_are_noticed(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.save(state(1.0), ledger.append(HISTORY, {"step": 1}))
        (tmp_path / HISTORY).write_text("")
        with pytest.raises(StudioError, match="lines are missing"):
            ledger.load(state(0.0))


@pytest.mark.parametrize("kept", [0, 10, 300])
def test_a_damaged_checkpoint_is_named(tmp_path, kept):
    with Ledger(tmp_path) as ledger:
        ledger.save(state(1.0), ledger.append(HISTORY, {"step": 1}))
        content = (tmp_path / CHECKPOINT).read_bytes()
        (tmp_path / CHECKPOINT).write_bytes(content[:kept])
        with pytest.raises(StudioError, match=r"checkpoint\.npz: damaged"):
            ledger.load(state(0.0))


def test_a_checkpoint_of_another_study_is_refused(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.save(state(1.0), ledger.append(HISTORY, {"step": 1}))
        with pytest.raises(StudioError, match="was the geometry or the precision changed"):
            ledger.load({**state(0.0), "design": np.zeros((4, 2))})
        with pytest.raises(StudioError, match="from another version"):
            ledger.load({"design": np.zeros((3, 2))})


def test_numbers_that_json_lacks_are_refused(tmp_path):
    with Ledger(tmp_path) as ledger, pytest.raises(ValueError, match="not JSON compliant"):
        ledger.append(HISTORY, {"objective": float("nan")})


def test_one_process_at_a_time(tmp_path):
    with Ledger(tmp_path), pytest.raises(StudioError, match="another process is running this study"), Ledger(tmp_path):
        pass


def test_a_study_is_begun_once(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.begin({"format": 1})
        with pytest.raises(InputError, match="already holds a study.*studio resume"):
            ledger.begin({"format": 1})


def test_a_file_in_the_way_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written.*--out"), Ledger(tmp_path / "file" / "study"):
        pass


def test_replacing_keeps_the_old_file_until_the_new_one_is_whole(tmp_path, monkeypatch):
    """A disk that fills up while the new file is forced out leaves the old one, and says how to go on."""
    with Ledger(tmp_path) as ledger:
        ledger.write_json("result.json", {"value": 1})

        def full(descriptor):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StudioError, match="No space left on device.*studio resume") as caught:
            ledger.write_json("result.json", {"value": 2})
        assert caught.value.exit_code == 1
    assert json.loads((tmp_path / "result.json").read_text()) == {"value": 1}
