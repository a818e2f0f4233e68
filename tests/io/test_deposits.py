"""Deposit files: totals of published ones, units of small ones of the same formats, and damaged or foreign ones by name."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from studio._checks import InputError
from studio.event import Deposits
from studio.io import deposit_events, deposit_formats, read_deposits, write_deposits
from tests.reference_data import reference

# ---- published files -------------------------------------------------------------------------------------------------

# Deposits, energy (MeV) and path (mm) summed with h5py and json alone, in the files' own units.
PUBLISHED = {
    "events/edepsim/input_0.h5": (168, 380.370, 1996.23),
    "events/edepsim/input_1.h5": (120, 373.560, 1973.95),
    "events/edepsim/input_2.h5": (84, 364.482, 1997.96),
    "events/edepsim/input_3.h5": (86, 369.789, 1997.54),
    "events/edepsim/input_4.h5": (111, 367.890, 1948.31),
    "events/jaxtpc_muon.h5": (5335, 140.957, 525.31),
    "events/g4tuple-qsn-v1-fixed.json.bz2": (9647, 505.487, 1876.76),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_totals_of_published_files(name):
    count, energy, length = PUBLISHED[name]
    deposits = read_deposits(reference(name))
    assert deposits.count == count
    assert deposits.total_energy == pytest.approx(energy, abs=6e-4)
    assert deposits.length.sum() == pytest.approx(length, abs=6e-3)


def test_a_published_muon_is_in_the_units_of_the_studio():
    """A muon of 100 MeV flies near the speed of light (mm and ns), starts at 2.2 MeV/cm and stops after its range: 42.5 g/cm²
    (Groom et al. 2001), 5 % for straggling (2.6 %) and scattering; the path sums the steps of pdg 13."""
    muon = read_deposits(reference("events/jaxtpc_muon.h5"))
    own = np.asarray(muon.pdg) == 13
    assert muon.length[own].sum() == pytest.approx(42.5 / 1.396 * 10, rel=0.05)
    start = np.flatnonzero(own)[:200]
    assert muon.energy[start].sum() / muon.length[start].sum() * 10 == pytest.approx(2.2, rel=0.15)
    steps = np.diff(np.asarray(muon.position)[start], axis=0)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1).sum(), muon.length[start].sum(), rtol=0.01)
    aligned = np.sum(steps / np.linalg.norm(steps, axis=1)[:, None] * np.asarray(muon.direction)[start][1:], axis=1)
    assert np.median(aligned) > 0.99
    speed = np.linalg.norm(steps.sum(axis=0)) / float(muon.time[start[-1]] - muon.time[start[0]])
    assert speed == pytest.approx(0.857 * 299.79, rel=0.02)  # β of 100 MeV is 0.857


def test_events_of_a_published_file_are_told_apart():
    path = reference("events/edepsim/input_1.h5")
    numbers = deposit_events(path)
    assert len(numbers) == 16
    assert numbers[0] == 10
    assert sum(read_deposits(path, event=number).count for number in numbers) == 120
    muon = read_deposits(path, event=68)  # its first two steps, of one fast muon: mm and ns
    speed = np.linalg.norm(np.asarray(muon.position[1] - muon.position[0])) / float(muon.time[1] - muon.time[0])
    assert speed == pytest.approx(299.79, rel=0.02)
    with pytest.raises(InputError, match=r"input_1\.h5: event: no such event \(received 11\)\. the file holds: 10, 14"):
        read_deposits(path, event=11)


# ---- small files of the same formats ---------------------------------------------------------------------------------

_EDEP = [
    ("eventID", "u4"),
    ("trackID", "u4"),
    ("pdgId", "i4"),
    ("dx", "f4"),
    ("dE", "f4"),
    ("t0", "f8"),
    ("n_electrons", "u4"),
]
_EDEP += [(axis + end, "f4") for axis in "xyz" for end in ("", "_start", "_end")]


def _edep_sim(path: Path, names: dict[str, str] | None = None) -> Path:
    """Two events: a step of 2 cm along y at 1 ns, one of 1 cm along −z at 3 ns."""
    rows = np.zeros(2, [((names or {}).get(name, name), kind) for name, kind in _EDEP])
    field = {name: (names or {}).get(name, name) for name, _ in _EDEP}
    rows[field["eventID"]], rows[field["trackID"]], rows[field["pdgId"]] = [7, 4], [1, 2], [13, 11]
    rows["dx"], rows["dE"], rows["t0"] = [2.0, 1.0], [4.2, 2.1], [1e-3, 3e-3]
    rows["x"] = rows["x_start"] = rows["x_end"] = [5.0, 6.0]
    rows["y_start"], rows["y"], rows["y_end"] = [0, 1], [1, 1], [2, 1]
    rows["z_start"], rows["z"], rows["z_end"] = [3, 1], [3, 0.5], [3, 0]
    with h5py.File(path, "w") as file:
        file["segments"] = rows
    return path


_STEP = [(name, "f4") for name in ("x", "y", "z", "t", "theta", "phi", "p", "de", "dx")]
_STEP += [("pdg", "i4"), ("track_id", "i4")]


def _steps(path: Path, drop: str | None = None) -> Path:
    """Events 11 (two steps) and 12 (none), ragged."""
    kind = np.dtype([one for one in _STEP if one[0] != drop])
    rows = np.zeros(2, kind)
    for name, values in {
        "x": [1, 2],
        "z": [5, 6],
        "t": [0.5, 0.6],
        "theta": [np.pi / 2, 0],
        "phi": [np.pi / 2, 0],
    }.items():
        rows[name] = values
    if drop != "dx":
        rows["dx"] = [0.3, 0.0]
    rows["de"], rows["pdg"], rows["track_id"] = [0.06, 0.01], [13, 22], [0, 5]
    with h5py.File(path, "w") as file:
        ragged = file.create_dataset("pstep/lar_vol", (2,), h5py.vlen_dtype(kind))
        ragged[0], ragged[1] = rows, rows[:0]
        file["event/geant4"] = np.array([(0, 11), (0, 12)], [("run_id", "i4"), ("event_id", "i4")])
    return path


_ROWS = [
    {"x": 1.0, "y": 2, "z": 3.0, "q": 0.1, "s": 0.3, "t": 10.0, "n": 3000},
    {"x": 1.5, "y": 2, "z": 3.0, "q": 0.2, "s": 0.0, "t": 10.1, "n": 0},
]


def test_edep_sim_lengths_in_cm_and_times_in_microseconds(tmp_path):
    path = _edep_sim(tmp_path / "a.anything")
    both = read_deposits(path)
    np.testing.assert_allclose(both.position, [[50, 10, 30], [60, 10, 5]])
    np.testing.assert_allclose(both.energy, [4.2, 2.1], rtol=1e-6)
    np.testing.assert_allclose(both.length, [20, 10])
    np.testing.assert_allclose(both.time, [1.0, 3.0])
    np.testing.assert_allclose(both.direction, [[0, 1, 0], [0, 0, -1]], atol=1e-12)
    np.testing.assert_array_equal(both.pdg, [13, 11])
    assert deposit_events(path) == (4, 7)
    assert read_deposits(path, event=4).track.tolist() == [2]
    newer = _edep_sim(tmp_path / "newer.h5", {"eventID": "event_id", "trackID": "traj_id", "pdgId": "pdg_id"})
    np.testing.assert_array_equal(read_deposits(newer, event=7).pdg, [13])


def test_geant4_steps_in_mm_with_angles(tmp_path):
    path = _steps(tmp_path / "steps.h5")
    steps = read_deposits(path)
    np.testing.assert_allclose(steps.position, [[1, 0, 5], [2, 0, 6]])
    np.testing.assert_allclose(steps.direction, [[0, 1, 0], [0, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(steps.length, [0.3, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(steps.track, [0, 5])
    assert deposit_events(path) == (11, 12)
    assert read_deposits(path, event=12).count == 0


@pytest.mark.parametrize("opener", [open, bz2.open, gzip.open], ids=["plain", "bzip2", "gzip"])
def test_json_plain_or_compressed(tmp_path, opener):
    path = tmp_path / "depos"
    with opener(path, "wb") as stream:
        stream.write(json.dumps({"depos": _ROWS}).encode())
    deposits = read_deposits(path)
    np.testing.assert_allclose(deposits.position, [[1, 2, 3], [1.5, 2, 3]])
    np.testing.assert_allclose(deposits.energy, [0.1, 0.2])
    np.testing.assert_allclose(deposits.length, [0.3, 0])
    np.testing.assert_allclose(deposits.time, [10, 10.1])
    assert not deposits.direction.any()
    assert deposit_events(path) == (0,)


# ---- the studio's own ------------------------------------------------------------------------------------------------


def _own(count: int, seed: int) -> Deposits:
    random = np.random.default_rng(seed)
    return Deposits(
        random.normal(size=(count, 3)) * 100,
        random.uniform(0, 2, count),
        random.uniform(0, 3, count),
        random.uniform(0, 9, count),
        np.eye(3)[np.arange(count) % 3],
        -13,
        np.arange(count),
    )


def test_own_files_come_back_bit_for_bit(tmp_path):
    first, second = _own(5, 1), _own(3, 2).padded(8)
    path = tmp_path / "own.h5"
    write_deposits(path, {12: first, 3: second}, {"seed": 4})
    assert deposit_events(path) == (3, 12)
    for number, wanted in ((12, first), (3, second)):
        found = read_deposits(path, event=number)
        for name in ("position", "energy", "length", "time", "direction", "pdg", "track", "weight"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)
    assert read_deposits(path).count == 13
    write_deposits(path, first)
    assert deposit_events(path) == (0,)
    assert [one.name for one in tmp_path.iterdir()] == ["own.h5"]


def test_groups_and_units_are_as_documented(tmp_path):
    write_deposits(tmp_path / "own.h5", {2: _own(4, 1)}, {"geometry": "sbnd"})
    with h5py.File(tmp_path / "own.h5") as file:
        assert dict(file.attrs) == {"format": "studio.deposits", "version": 1, "geometry": "sbnd"}
        assert file["event_2"].attrs["count"] == 4
        units = {name: item.attrs.get("units") for name, item in file["event_2"].items()}  # pyright: ignore
    assert units == {"position": "mm", "energy": "MeV", "length": "mm", "time": "ns"} | dict.fromkeys(
        ("direction", "pdg", "track", "weight")
    )


def test_writing_checks_and_leaves_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "own.h5"
    write_deposits(path, _own(2, 1))
    before = path.read_bytes()
    stacked = Deposits(np.zeros((2, 3, 3)), np.ones((2, 3)))
    for events, words in ((stacked, "stacked events one by one"), ({-1: _own(2, 1)}, "numbered from 0")):
        with pytest.raises(InputError, match=words):
            write_deposits(path, events)
    with pytest.raises(InputError, match="cannot be written"):
        write_deposits(tmp_path / "absent" / "own.h5", _own(2, 1))
    assert path.read_bytes() == before


# ---- damaged and foreign ---------------------------------------------------------------------------------------------


def _without(name: str):
    return lambda file: file.pop(name)


def _replaced(name: str, value):
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return change


OWN_DAMAGE = {
    "another version": (lambda file: file.attrs.update(version=9), ["version", "9", "reads 1"]),
    "a stray group": (lambda file: file.create_group("extra"), ["extra", "unknown group", "event_0"]),
    "a missing array": (_without("event_0/energy"), ["event_0/energy: is missing"]),
    "a wrong shape": (_replaced("event_0/energy", np.zeros(3)), ["event_0/energy", "(3,)", "(4,)"]),
    "another unit": (
        lambda file: file["event_0/position"].attrs.update(units="cm"),
        ["position", "the unit mm", "'cm'"],
    ),
    "text": (_replaced("event_0/pdg", [b"a"] * 4), ["event_0/pdg", "expected numbers"]),
    "a NaN": (
        lambda file: file["event_0/time"].write_direct(np.array([0, 1, np.nan, 2])),
        ["time", "deposit 2", "finite"],
    ),
    "a negative energy": (
        lambda file: file["event_0/energy"].write_direct(np.array([0.0, 1, -2, 2])),
        ["energy", "negative", "-2.0"],
    ),
    "no marker": (lambda file: file.attrs.pop("format"), ["no deposit format that is known", "event_0", "segments"]),
}


@pytest.mark.parametrize("name", OWN_DAMAGE)
def test_a_damaged_own_file_is_refused_by_name(name, tmp_path):
    change, words = OWN_DAMAGE[name]
    path = tmp_path / "own.h5"
    write_deposits(path, _own(4, 1))
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(InputError) as caught:
        read_deposits(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("kept", [0, 7, 100, 1500, -200])
@pytest.mark.parametrize("kind", ["own", "edep_sim", "json.bz2"])
def test_a_truncated_file_is_refused_wherever_it_was_cut(kind, kept, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    if kind == "own":
        write_deposits(whole, _own(50, 1))
    elif kind == "edep_sim":
        _edep_sim(whole)
    else:
        random = np.random.default_rng(1)
        rows = [dict(zip("xyzqst", random.uniform(size=6).tolist(), strict=True)) for _ in range(200)]
        whole.write_bytes(bz2.compress(json.dumps({"depos": rows}).encode()))
    cut.write_bytes(whole.read_bytes()[:kept])
    with pytest.raises(
        InputError, match=r"cut: .*(not a readable HDF5 file|neither HDF5 nor JSON|cannot be decompressed)"
    ):
        read_deposits(cut)


def test_foreign_files_are_named_with_what_they_hold(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["weights"] = [1.0]
        file["biases"] = [1.0]
    _steps(tmp_path / "no_dx.h5", drop="dx")
    with h5py.File(tmp_path / "no_table.h5", "w") as file:
        file["segments"] = np.zeros((3, 4))
    with h5py.File(tmp_path / "no_ragged.h5", "w") as file:
        file["pstep/lar_vol"] = np.zeros(3)
    texts = {
        "list.json": "[1, 2]",
        "other.json": '{"fields": []}',
        "row.json": '{"depos": [3]}',
        "missing.json": json.dumps({"depos": [_ROWS[0], {"x": 1.0, "y": 2.0, "z": 1.0, "s": 1.0, "t": 0.0}]}),
        "text.json": json.dumps({"depos": [_ROWS[0] | {"q": "0.1"}]}),
        "nan.json": json.dumps({"depos": [_ROWS[0] | {"t": float("nan")}]}),
        "events.yaml": "volume: {kind: box}",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    for name, words in {
        "other.h5": ["no deposit format that is known", "biases, weights", "pstep/lar_vol"],
        "no_dx.h5": ["pstep/lar_vol: columns missing: dx", "it has: x, y"],
        "no_table.h5": ["segments: is not a table"],
        "no_ragged.h5": ["pstep/lar_vol: is not a ragged dataset"],
        "list.json": ["without a list 'depos'", "it holds list"],
        "other.json": ["without a list 'depos'", "fields"],
        "row.json": ["depos.0: is not an object"],
        "missing.json": ["depos.1.q: not a number", "is missing"],
        "text.json": ["depos.0.q: not a number", "'0.1'"],
        "nan.json": ["time: deposit 0 is not a finite number"],
        "events.yaml": ["neither HDF5 nor JSON", "write_deposits"],
        "absent.h5": ["no such deposit file"],
        ".": ["is a directory"],
    }.items():
        with pytest.raises(InputError) as caught:
            read_deposits(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path)), name
        assert all(word in str(caught.value) for word in words), str(caught.value)


def test_formats_are_listed():
    assert deposit_formats() == ("studio", "edep_sim", "geant4_steps", "deposit_json")
