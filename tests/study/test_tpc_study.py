"""Studies of chambers: experiments about wires, their limits by hand, and the physics behind them."""

import functools
import math
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, LiquidArgon, Primary, TPCSimulator
from studio.paths import replace
from studio.study.assembly import assemble
from studio.study.experiment_file import parse_experiment
from studio.study.tpc import TPCPhysics, _beside
from tests.simulation.tpc.small_tpc import small_tpc

GEOMETRIES = Path(__file__).parents[2] / "geometries"
MODULE = Path(__file__).parents[2] / "experiments" / "geometries" / "wire_module.yaml"

EXPERIMENT = """
geometry: {geometry}
events:
  kind: gun
  particle: [proton, mu-]
  kinetic_energy: {{proton: [30 MeV, 40 MeV], mu-: [50 MeV, 60 MeV]}}
  contained: true
  count: 4
free: {{planes.0.pitch: {{between: [2 mm, 10 mm]}}}}
objective: [{{kind: dedx_resolution, particle: proton}}]
constraints:
  - {{kind: transparency, at_least: 99.9 %}}
  - {{kind: cathode_voltage, at_most: 120 kV}}
  - {{kind: wire_count}}
  - {{kind: argon_mass, at_least: 50}}
"""


def experiment(old="", new="", geometry=MODULE):
    return parse_experiment(EXPERIMENT.format(geometry=geometry).replace(old, new), "wires.yaml")


def test_limits_by_hand():
    """500 V/cm over 2 m are 100 kV; 40 m³ of 1.391 t; 2 (4 sin 60° + 5 cos 60°) + 5 m of wires every 3 mm; SBND's planes pass all."""
    assembly = assemble(experiment())
    found = {row.name: row for row in (one.audit(assembly.baseline) for one in assembly.constraints)}
    wires = (2 * (4000 * math.sin(math.pi / 3) + 5000 * math.cos(math.pi / 3)) + 5000) / 3
    expected = {"transparency": 0.0, "cathode_voltage": 100.0, "wire_count": wires, "argon_mass": 40 * 1.391}
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, rel=1e-3, abs=1e-6), name
        assert found[name].satisfied


def test_each_particle_has_energies_of_its_own():
    ranges = {"proton": (30.0, 40.0), "mu-": (50.0, 60.0)}
    for group in assemble(experiment()).groups:
        low, high = ranges[group.particle]
        energy = np.asarray(group.kinetic_energy)
        assert np.all((energy >= low) & (energy <= high))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("kind: wire_count", "kind: sensor_count", "only a detector with photosensors has that"),
        ("{{between: [2 mm, 10 mm]}}".replace("{{", "{").replace("}}", "}"), "{}", "needs a range"),
        ("99.9 %", "100 %", "no design can be told from it"),
        ("mu-: [50 MeV, 60 MeV]", "e-: [50 MeV, 60 MeV]", "not the particles of the events"),
        ("[2 mm, 10 mm]", "[2 V, 10 V]", "a potential where a length belongs"),
    ],
)
def test_what_does_not_fit_is_refused(old, new, words):
    with pytest.raises(InputError, match=words):
        assemble(experiment(old, new))


def test_tanks_have_no_wires():
    text = EXPERIMENT.format(geometry=GEOMETRIES / "iwcd.yaml").replace("[proton, mu-]", "mu-")
    text = text.replace("{proton: [30 MeV, 40 MeV], mu-: [50 MeV, 60 MeV]}", "300 MeV").replace(
        ", particle: proton", ""
    )
    text = text.replace("planes.0.pitch: {between: [2 mm, 10 mm]}", "medium.absorption_length: {}")
    with pytest.raises(InputError, match="no such resolution"):
        assemble(parse_experiment(text, "tank.yaml"))
    with pytest.raises(InputError, match="only a TPC with wires has that"):
        assemble(parse_experiment(text.replace("dedx_resolution", "vertex_resolution"), "tank.yaml"))


PROTON = Primary("proton", vertex=(120.3, 13.1, -40.7), direction=(0.3, 0.5, 0.8), kinetic_energy=35.0)


def pitched(pitch):
    detector = small_tpc()
    changes = {f"planes.{index}.pitch": pitch for index in range(len(detector.planes))}
    return replace(detector, changes)


@pytest.mark.parametrize("pitch", [2.0, 2.9, 4.7, 10.0])
def test_the_wires_stand_beside_a_vertex_as_with_any_pitch(pitch):
    """Parts of a pitch, the same for all, and different from plane to plane; wires move by half a pitch at most."""
    first, other = (_beside(pitched(one), PROTON) for one in (3.0, pitch))
    for plane, before in zip(other.planes, first.planes, strict=True):
        flat = (np.asarray(other.volumes.axes[0]) @ np.asarray(PROTON.vertex - other.volumes.middle[0]))[1:]
        here, there = (float(one.number(jnp.asarray(flat) @ one.across)) % 1 for one in (plane, before))
        assert abs((here - there + 0.5) % 1 - 0.5) < 1e-9
        assert abs(float(plane.offset)) <= 0.5 * pitch + 1e-9
    assert len({round(float(plane.offset), 6) for plane in other.planes}) == len(other.planes)


@functools.cache
def resolution():
    simulator = TPCSimulator(segments=4, bins=4, around=4)
    ends = [pitched(2.5), pitched(3.5)]
    events = eqx.tree_at(lambda one: one.kinetic_energy, PROTON, PROTON.kinetic_energy)
    stacked = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], events)
    physics = TPCPhysics({"medium.w_ion": 0.01}, simulator).prepared(ends, (stacked,))
    return physics, jax.jit(lambda pitch: physics.information(pitched(pitch), PROTON))


def test_charge_of_a_known_scale_tells_the_energy_better():
    """σ of the energy: least with the scale known, then known to 1 %, then free; the scale's own with the energy free."""
    physics, information = resolution()
    found = information(3.0)
    events = {"known": {}, "prior": {"medium.w_ion": 0.01}, "free": {"medium.w_ion": None}}
    sigma = {
        name: np.asarray(TPCPhysics(nuisance, physics.simulator).resolutions(found, PROTON))
        for name, nuisance in events.items()
    }
    assert sigma["known"][2] < sigma["prior"][2] < sigma["free"][2]
    scale = {name: rows[3] for name, rows in sigma.items()}
    assert scale["known"] == scale["prior"] == scale["free"] < 0.02
    # Free, the bound of the whole matrix, of which the scale is one parameter.
    covariance = np.linalg.inv(np.asarray(found.matrix))
    assert sigma["free"][2] == pytest.approx(np.sqrt(covariance[5, 5]) / 35.0, rel=1e-6)
    assert scale["free"] == pytest.approx(np.sqrt(covariance[6, 6]) / float(LiquidArgon().w_ion), rel=1e-6)


def test_resolutions_are_smooth_in_the_pitch(monkeypatch):
    """Five steps of 0.01 mm: second differences of ln σ of vertex, direction, energy and scale, with wires that stay beside the
    vertex and with wires that stay where they are. Measured 2e-5, 3e-6, 1e-4 and 5e-4 against 2e-2, 2e-3, 1e-3 and 6e-3: of
    vertex and direction the curve's own bend is left; of energy and scale also the track's end, which moves from wire to wire.
    """

    def roughness(physics, information):
        logs = np.log([physics.resolutions(information(3.0 + 0.01 * step), PROTON) for step in range(5)])
        return np.max(np.abs(np.diff(logs, 2, axis=0)), axis=0)

    smooth = roughness(*resolution())
    monkeypatch.setattr("studio.study.tpc._beside", lambda detector, event, phase: detector)
    rough = roughness(*resolution.__wrapped__())
    assert np.all(smooth < rough / [100, 100, 5, 5]), (smooth, rough)
