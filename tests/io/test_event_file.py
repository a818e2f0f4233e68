"""Event files keep primaries and readouts to the last bit, and damaged or foreign ones are refused by name."""

from __future__ import annotations

import shutil

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio._checks import InputError
from studio.event import Primary, Readout
from studio.io import EventSet, read_events, write_events


def _population(particle: str, events: int, sensors: int | None, seed: int) -> EventSet:
    random = np.random.default_rng(seed)
    primaries = Primary(
        particle,
        vertex=jnp.asarray(random.normal(size=(events, 3)) * 1000),
        direction=jnp.asarray(random.normal(size=(events, 3))),
        kinetic_energy=jnp.asarray(random.uniform(100, 1000, events)),
        time=jnp.asarray(random.normal(size=events)),
    )
    if sensors is None:
        return EventSet(primaries)
    hit = random.uniform(size=(events, sensors)) < 0.2
    charge = np.where(hit, random.exponential(size=hit.shape), 0.0)
    return EventSet(primaries, Readout(jnp.asarray(charge), jnp.asarray(np.where(hit, 20.0, 0.0)), jnp.asarray(hit)))


@pytest.fixture
def populations() -> list[EventSet]:
    return [_population("mu-", 7, 40, seed=1), _population("e-", 3, 40, seed=2), _population("point", 5, None, seed=3)]


def test_events_come_back_bit_for_bit(populations, tmp_path):
    write_events(tmp_path / "events.h5", populations, {"seed": 7, "geometry": "iwcd"})
    found = read_events(tmp_path / "events.h5")
    assert found.attributes == {"seed": 7, "geometry": "iwcd"}
    assert [(one.primaries.particle, one.count) for one in found.populations] == [("mu-", 7), ("e-", 3), ("point", 5)]
    assert found.populations[2].readouts is None
    for first, second in zip(populations, found.populations, strict=True):
        assert jax.tree.structure(first) == jax.tree.structure(second)
        for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
    assert [path.name for path in tmp_path.iterdir()] == ["events.h5"]


def test_groups_and_units_are_as_documented(populations, tmp_path):
    write_events(tmp_path / "events.h5", populations)
    with h5py.File(tmp_path / "events.h5") as file:
        units = {}
        file["population_0"].visititems(  # pyright: ignore[reportAttributeAccessIssue]
            lambda name, item: units.update({name: item.attrs.get("units")}) if isinstance(item, h5py.Dataset) else None
        )
        point = file["population_2/primaries/kinetic_energy"].attrs["units"]
    assert units == {
        "primaries/vertex": "mm",
        "primaries/direction": None,
        "primaries/kinetic_energy": "MeV",
        "primaries/time": "ns",
        "readouts/charge": "photoelectrons",
        "readouts/time": "ns",
        "readouts/hit": None,
    }
    assert point == "1000 photons"


def _edit(path, change) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


def _set(name: str, value):
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return change


DAMAGE = {
    "no marker": (lambda file: file.attrs.pop("format"), ["format", "no event file of the studio", "population_0"]),
    "another version": (lambda file: file.attrs.update(version=99), ["version", "99", "reads 1"]),
    "a stray group": (lambda file: file.create_group("extra"), ["extra", "unknown group"]),
    "a missing array": (
        lambda file: file.pop("population_0/primaries/vertex"),
        ["population_0/primaries/vertex: is missing"],
    ),
    "a wrong shape": (
        _set("population_0/readouts/time", np.zeros((7, 3))),
        ["population_0/readouts/time", "(7, 3)", "(7, 40)"],
    ),
    "text for numbers": (_set("population_0/primaries/time", [b"a"] * 7), ["expected numbers"]),
    "a NaN": (_set("population_0/primaries/direction", np.full((7, 3), np.nan)), ["not finite"]),
    "another unit": (
        lambda file: file["population_0/primaries/vertex"].attrs.update(units="cm"),
        ["the unit mm", "'cm'"],
    ),
    "another particle": (lambda file: file["population_0"].attrs.update(particle="tau-"), ["'tau-'", "mu-, mu+"]),
    "no group": (_set("population_0", 3.0), ["population_0", "is not a group"]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_refused_with_file_key_and_remedy(name, populations, tmp_path):
    change, words = DAMAGE[name]
    path = tmp_path / "events.h5"
    write_events(path, populations)
    _edit(path, change)
    with pytest.raises(InputError) as caught:
        read_events(path)
    assert str(caught.value).startswith(f"{path}: ")
    for word in words:
        assert word in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("kept", [0, 7, 100, 2000, -100])
def test_a_truncated_file_is_refused_wherever_it_was_cut(kept, populations, tmp_path):
    whole, cut = tmp_path / "events.h5", tmp_path / "cut.h5"
    write_events(whole, populations)
    cut.write_bytes(whole.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"cut\.h5: is not a readable HDF5 file.*truncated one must be made again"):
        read_events(cut)


def test_what_is_no_file_is_named(tmp_path):
    (tmp_path / "text.h5").write_text("volume: {}\n")
    for path, words in (
        (tmp_path, "is a directory"),
        (tmp_path / "absent.h5", "no such event file"),
        (tmp_path / "text.h5", "not a readable HDF5 file"),
    ):
        with pytest.raises(InputError, match=words):
            read_events(path)


def test_writing_checks_shapes_and_leaves_the_old_file_when_it_fails(populations, tmp_path):
    path = tmp_path / "events.h5"
    write_events(path, populations)
    before = path.read_bytes()
    lone = Primary("mu-")
    with pytest.raises(InputError, match="stack the primaries"):
        write_events(path, [EventSet(lone)])
    muons, electrons = populations[0], populations[1]
    with pytest.raises(InputError, match=r"populations\.0\.readouts\.charge: shape \(3, 40\) for 7 events"):
        write_events(path, [EventSet(muons.primaries, electrons.readouts)])
    assert path.read_bytes() == before
    with pytest.raises(InputError, match="cannot be written"):
        write_events(tmp_path / "absent" / "events.h5", populations)
    shutil.rmtree(tmp_path)
