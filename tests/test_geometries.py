"""Every geometry that ships can be looked at, simulated, and reconstructed.

Light: a muon radiates Y = 2πα ∫ (1 − 1/n²) ε(λ) dλ/λ² photoelectrons a length of track if the whole wall were sensors of
efficiency ε, so `expected` gives Y × track × coverage × efficiency × transmission. Scattered light is not simulated, and
the mean way to the wall is at most 40 m (transmission 0.7 at 350 nm to 1); slowing down takes 10 to 20 % of the track's
light, δ rays add 6 %, and the sensors are not dense: together a factor in [0.5, 1.15].
"""

from __future__ import annotations

import math
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest

from studio import Detector, OpticalSimulator, load_detector
from studio.event.energy_loss import csda_range
from studio.rendering.figures import event_display
from studio.units import mm
from tests.one_muon import contained_muon, found_again

GEOMETRIES = Path(__file__).parents[1] / "geometries"
NAMES = sorted(path.stem for path in GEOMETRIES.glob("*.yaml"))
SIMULATOR = OpticalSimulator(segments=8, wavelengths=21, degree=4, kink_modes=2)


@pytest.fixture(scope="module", params=NAMES)
def detector(request) -> Detector:
    return load_detector(GEOMETRIES / f"{request.param}.yaml")


def plain_yield(detector: Detector, track: float) -> float:
    """Photoelectrons of a fast particle with a `track` in mm, by area and efficiency alone."""
    wavelength = np.linspace(280, 700, 400)  # nm
    sensors = detector.sensors
    radii, kinds = np.asarray(sensors.radius), np.asarray(sensors.kind)
    total = 0.0
    for index, one in enumerate(sensors.types):
        covered = math.pi * np.sum(radii[kinds == index] ** 2) / float(detector.volume.area)
        detected = float(sensors.efficiency[index]) * one.detection_efficiency(wavelength)
        per_nm = 2 * math.pi / 137.036 * (1 - 1 / 1.34**2) * np.trapezoid(detected / wavelength**2, wavelength)
        total += covered * per_nm * 1e6 * (track / mm)
    return total


def test_a_muon_gives_the_light_that_coverage_and_efficiency_promise(detector, tmp_path):
    """And a sample of it, 6σ = 6 √(2 Q + (0.04 Q)²) wide (single-photoelectron spread; straggling and δ rays), is drawn."""
    muon = contained_muon(detector)
    mean = eqx.filter_jit(SIMULATOR.expected)(detector, muon)
    readout = eqx.filter_jit(SIMULATOR.sample)(detector, muon, jax.random.key(1))
    for leaf in jax.tree.leaves((mean, readout)):
        assert np.all(np.isfinite(np.asarray(leaf, float)))
    gate = detector.electronics.gate
    dark = sum(float(gate) * detector.sensors.types[k].dark_rate for k in np.asarray(detector.sensors.kind))
    light = float(mean.charge.sum()) - dark
    track = float(csda_range(muon.kinetic_energy))
    assert 0.5 < light / plain_yield(detector, track) < 1.15
    assert abs(float(readout.charge.sum()) - light - dark) < 6 * math.hypot(math.sqrt(2 * light), 0.04 * light)

    # Sensors in bright light fire no earlier than light from the nearest point of the track, in the fastest colour of the
    # detected band (21.9 cm/ns at 450 nm; 22.2 above), and no later than from the farthest, give or take 6 ns: slow blue
    # light over 60 m, and the resolution of 1 to 3 ns.
    bright = np.asarray(mean.charge) > 2.0
    assert bright.sum() > 5
    ends = np.asarray(muon.vertex) + np.outer([0.0, track], np.asarray(muon.direction))
    position = np.asarray(detector.placed.positions)[bright]
    flight = np.linalg.norm(position[:, None] - ends, axis=-1) / 219.0 + np.array([0.0, track / 299.8])
    late = np.asarray(mean.time)[bright] - float(muon.time)
    assert np.all(late > flight.min(axis=1) - 6)
    assert np.all(late < flight.max(axis=1) + 6)

    path = tmp_path / "event.png"
    figure = event_display(detector, readout, path)
    assert path.stat().st_size > 10_000
    assert f"of {detector.sensors.count} sensors hit" in " ".join(text.get_text() for text in figure.axes[0].texts)


@pytest.mark.slow  # minutes each: compilation, and up to half a minute a fit with 20,000 sensors
def test_a_muon_is_found_again(detector):
    """Fits converge within 5σ of the truth: eight numbers for each of seven detectors stay below 4σ, the angle has two
    coordinates. And σ is that of a good detector: below 30 cm, 3° and 6 % of the energy."""
    found = found_again(detector, seed=0)
    assert found.status == "CONVERGED"
    assert np.all(np.abs(found.errors) < 5 * found.sigma)
    assert found.angle < 4 * found.angle_sigma
    assert 0.3 < found.goodness < 2.0
    assert np.linalg.norm(found.sigma[:3]) < 300.0
    assert found.angle_sigma < 3.0
    assert found.sigma[3] < 0.06 * float(contained_muon(detector).kinetic_energy)
