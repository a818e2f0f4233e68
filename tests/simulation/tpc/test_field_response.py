"""Field responses from geometry, against published ones and against what must hold for any geometry.

Published: Garfield-2D responses of MicroBooNE and SBND, 21 wires by 6 impacts; after cold electronics of 2 us, impacts of
0.1 to 0.4 of a pitch. Tolerances are those the response is used with: correlation of the shapes at the lag that aligns the
wire's own pulse (start planes and velocities differ by up to 7 %) at least 0.995 on the wire itself, 0.98 on its first
neighbours (0.97 for the collection plane's); collection integral −1 within 0.02, the files' own spread being 0.03; induction integral
below 0.01; area of an induction lobe (half the integral of |current|) within 4 % of the files'.

For any geometry the current adds up to −Δ(weighting potential), which is −1 at the surface of the own wire, and 0 at another's, up to
the dipole term that the weighting potential leaves out: radius times the weighting field there, 0.002 here.
"""

import bz2
import json
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import studio
from studio.simulation.tpc.drift_velocity import drift_velocity
from tests.reference_data import reference
from tests.simulation.tpc.shaping import shaped

IMPACTS = (0.1, 0.2, 0.3, 0.4)
TICK = 100.0
TIME = np.arange(1000) * TICK

DETECTORS = {
    "MicroBooNE": ("ub-10-half.json.bz2", (-110.0, 0.0, 230.0), 27.3),
    "SBND": ("garfield-sbnd-v1.json.bz2", (-200.0, 0.0, 440.0), 50.0),
}


@cache
def published(name):
    """Per plane: a function from the transverse distance (mm) between electron and wire to the current."""
    file = reference(f"field_response/{DETECTORS[name][0]}")
    with bz2.open(file) as text:
        planes = json.load(text)["FieldResponse"]["planes"]
    tables = []
    for plane in planes:
        paths = [path["PathResponse"] for path in plane["PlaneResponse"]["paths"]]
        # 21 wires of 6 paths at 0 to pitch/2, of which the last belongs to the neighbour; the other side mirrors them.
        tables.append(
            {round(abs(path["pitchpos"]), 3): np.array(path["current"]["array"]["elements"]) for path in paths}
        )
    return tables


@cache
def computed(name):
    _, bias, field = DETECTORS[name]
    return studio.field_response(3.0, (6.0, 3.0, 0.0), bias, field, impacts=IMPACTS, time=TIME)


def lag_between(ours, theirs):
    """Ticks by which `ours` must move to lie on `theirs`."""
    ticks = len(ours)
    product = np.fft.irfft(np.fft.rfft(theirs, 2 * ticks) * np.fft.rfft(ours, 2 * ticks).conj())
    lag = int(np.argmax(product))
    return lag if lag < ticks else lag - 2 * ticks


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("plane", [0, 1, 2])
def test_shapes_are_those_of_garfield(name, plane):
    response = computed(name)
    middle = int(np.argmin(np.abs(response.offsets)))
    table = published(name)[plane]
    ours = shaped(np.asarray(response.current[plane]), TICK)
    lags = []
    for number, impact in enumerate(IMPACTS):
        own = shaped(table[round(3 * impact, 3)], TICK)
        lag = lag_between(ours[middle, number], own)
        lags.append(lag)
        for offset, least in ((0, 0.995), (1, 0.98 if plane < 2 else 0.97), (-1, 0.98 if plane < 2 else 0.97)):
            theirs = shaped(table[round(3 * abs(impact - offset), 3)], TICK)
            correlation = np.corrcoef(np.roll(ours[middle + offset, number], lag), theirs)[0, 1]
            print(name, plane, impact, offset, lag, f"{correlation:.4f}")
            assert correlation >= least, (impact, offset)
    # One velocity moves all impacts alike: 2 ticks are 0.2 mm of drift.
    assert max(lags) - min(lags) <= 2


@pytest.mark.parametrize("name", DETECTORS)
def test_integrals_and_lobes_are_those_of_garfield(name):
    response = computed(name)
    middle = int(np.argmin(np.abs(response.offsets)))
    own = np.asarray(response.current[:, middle])
    assert np.max(np.abs(own[2].sum(axis=-1) * TICK + 1)) < 0.02
    assert np.max(np.abs(own[:2].sum(axis=-1) * TICK)) < 0.01
    for plane in (0, 1):
        theirs = np.array([published(name)[plane][round(3 * impact, 3)] for impact in IMPACTS])
        ours, theirs = (0.5 * np.sum(np.abs(current), axis=-1) * TICK for current in (own[plane], theirs))
        np.testing.assert_allclose(ours, theirs, rtol=0.04)


GEOMETRIES = {
    "MicroBooNE": (3.0, (6.0, 3.0, 0.0), (-110.0, 0.0, 230.0), 27.3),
    "wide": (4.7, (9.4, 4.7, 0.0), (-250.0, 0.0, 560.0), 40.0),
    "four planes": ((4.79, 4.667, 4.667, 4.79), (14.28, 9.52, 4.76, 0.0), (-655.0, -365.0, 0.0, 860.0), 50.0),
    "two planes": ((4.0, 5.0), (4.0, 0.0), (0.0, 400.0), 30.0),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_any_planes_collect_all_and_induce_nothing_in_sum(name):
    response = studio.field_response(*GEOMETRIES[name], impacts=IMPACTS, time=TIME)
    planes = len(GEOMETRIES[name][1])
    middle = len(response.offsets) // 2
    charge = np.asarray(response.charge[..., -1])
    assert response.current.shape == (planes, 41, 4, 1000)
    assert float(response.transparency) > 0.999
    np.testing.assert_allclose(charge[-1, middle], -1, atol=0.005)
    assert np.max(np.abs(charge[:-1])) < 0.006
    assert np.max(np.abs(np.delete(charge[-1], middle, axis=0))) < 0.006


def test_a_nearer_wire_sees_more():
    """The induction lobe falls from the aimed-at wire to the next ones on either side, monotonically."""
    response = studio.field_response(*GEOMETRIES["wide"], impacts=IMPACTS, time=TIME)
    lobes = 0.5 * np.sum(np.abs(np.asarray(response.current[0, :, 0])), axis=-1) * TICK
    assert np.all(np.diff(lobes[16:21]) > 0)
    assert np.all(np.diff(lobes[21:26]) < 0)


def test_the_drift_time_is_that_of_the_drift_velocity():
    """Between a start at 100 mm and one at 70 mm the field is uniform: half the charge is there 30 mm / v later.

    Within 5 ns: the weighting potential at the two starts differs by 1e-3, and the charge rises in some us.
    """
    half = []
    for start in (100.0, 70.0):
        response = studio.field_response(*GEOMETRIES["MicroBooNE"], impacts=IMPACTS, time=TIME, start=start)
        half.append(np.interp(0.5, -np.asarray(response.charge[2, 20, 1]), TIME))
    assert half[0] - half[1] == pytest.approx(30 / float(drift_velocity(27.3)), abs=5.0)


def test_phases_are_relative_and_averaged():
    """The mean over two relative phases is that of each; moving all planes together changes nothing, because electrons start
    beside the wire aimed at."""
    sets = np.array([[0.0, 0.2, -0.3], [0.1, -0.4, 0.25]])
    keywords = {"impacts": IMPACTS, "time": TIME}
    both = studio.field_response(*GEOMETRIES["MicroBooNE"], phases=sets, **keywords)
    first, second, moved = (
        studio.field_response(*GEOMETRIES["MicroBooNE"], phases=phases[None], **keywords).current
        for phases in (*sets, sets[0] + 0.15)
    )
    np.testing.assert_allclose(both.current, (first + second) / 2, atol=1e-12)
    assert np.max(np.abs(np.asarray(first - second))) > 1e-5
    np.testing.assert_allclose(moved, first, atol=1e-9)


def test_traced_mapped_and_kept():
    """Compiled once for changing values, mapped as a loop would, and concrete responses are not computed twice."""
    count = 0

    @jax.jit
    @jax.vmap
    def traced(pitch, field):
        nonlocal count
        count += 1
        planes = (pitch, (6.0, 3.0, 0.0), (-110.0, 0.0, 230.0), field)
        return studio.field_response(*planes, impacts=IMPACTS, time=TIME).current

    values = [(3.0, 3.1), (27.3, 29.0)]
    together = traced(*jnp.array(values))
    traced(*(jnp.array(values) * 1.02))
    assert count == 1
    for number, (pitch, field) in enumerate(zip(*values, strict=True)):
        alone = [
            studio.field_response(pitch, *GEOMETRIES["MicroBooNE"][1:3], field, impacts=IMPACTS, time=TIME)
            for _ in range(2)
        ]
        assert alone[0] is alone[1]
        np.testing.assert_allclose(together[number], alone[0].current, atol=1e-11)


BAD = {
    "pitch": ({"pitch": -3.0}, "pitch: must be positive"),
    "pitches": ({"pitch": (3.0, 3.0)}, "pitch: expected one value per plane, got shape (2,)"),
    "order": ({"plane_positions": (0.0, 3.0, 6.0)}, "plane_positions: planes must come in the order"),
    "last": ({"plane_positions": (9.0, 6.0, 3.0)}, "the last one 0"),
    "planes overlap": ({"plane_positions": (3.1, 3.0, 0.0)}, "wires of neighbouring planes overlap"),
    "wires overlap": ({"wire_radius": 1.5}, "wire_radius: wires of a plane overlap"),
    "bias": ({"bias": (0.0, 1.0)}, "bias: expected one value per plane"),
    "not finite": ({"bias": (0.0, 1.0, np.inf)}, "bias: must be finite"),
    "words": ({"bias": "high"}, "bias: must be numbers"),
    "field": ({"drift_field": 0.0}, "drift_field: must be positive"),
    "start": ({"start": 8.0}, "start: electrons would start among the planes"),
    "even": ({"wires": 40}, "wires: must be odd"),
    "ticks": ({"time": np.array([0.0, 1.0, 3.0])}, "time: ticks must follow each other evenly"),
    "short": ({"time": np.arange(10) * 100.0}, "time: the electrons arrive after 88 us"),
    "mesh": ({"mesh_distance": 0.01}, "mesh_distance: the mesh touches the wires"),
    "phases": ({"phases": np.zeros((2, 4))}, "phases: expected a number, or phases of shape (sets, 3)"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name):
    change, message = BAD[name]
    good = {"pitch": 3.0, "plane_positions": (6.0, 3.0, 0.0), "bias": (-110.0, 0.0, 230.0), "drift_field": 27.3}
    with pytest.raises(studio.InputError) as error:
        studio.field_response(**{**good, **change})
    assert message in str(error.value)


def test_without_float64_the_remedy_is_named():
    with jax.enable_x64(False), pytest.raises(studio.StudioError, match="jax_enable_x64"):
        studio.field_response(*GEOMETRIES["MicroBooNE"])
