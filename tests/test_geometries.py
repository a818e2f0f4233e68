"""Every optical geometry that ships can be looked at, simulated, and reconstructed.

Light: Geant4's number of Cherenkov photons between 275 and 674 nm, times the covered share of the wall, times efficiency and
transmission over the mean distance, averaged over the spectrum 1/λ². Within 8 % where the ring falls on hundreds of sensors
(δ rays, the spread of distances); in small tanks it falls on some 30, which see 20 % more or less of it.
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
from studio.io.geometry import read_geometry
from studio.io.optical_models import OpticalModel
from studio.rendering.figures import event_display
from tests.one_muon import contained_muon, found_again

GEOMETRIES = Path(__file__).parents[1] / "geometries"
NAMES = sorted(path.stem for path in GEOMETRIES.glob("*.yaml") if isinstance(read_geometry(path)[1], OpticalModel))
SIMULATOR = OpticalSimulator(segments=8, wavelengths=21, degree=4, kink_modes=2)


@pytest.fixture(scope="module", params=NAMES)
def detector(request) -> Detector:
    return load_detector(GEOMETRIES / f"{request.param}.yaml")


# Geant4 in water, δ rays included: 19,132 photons at 200 MeV and 84,704 at 500 MeV; 250 MeV by the power law between.
PHOTONS = {250.0: 27_500, 500.0: 84_704}


def counted(detector: Detector, photons: float, distance: float) -> float:
    """Photoelectrons of so many photons, spread over a wall at a `distance` in mm."""
    wavelength = np.linspace(275, 674, 400)  # nm
    water, sensors = detector.medium, detector.sensors
    lost = water.absorption_coefficient(wavelength) + water.scattering_coefficient(wavelength)
    spectrum = wavelength**-2.0 / np.sum(wavelength**-2.0)
    radii, kinds = np.asarray(sensors.radius), np.asarray(sensors.kind)
    total = 0.0
    for index, one in enumerate(sensors.types):
        covered = math.pi * np.sum(radii[kinds == index] ** 2) / float(detector.volume.area)
        detected = float(sensors.efficiency[index]) * one.detection_efficiency(wavelength)
        total += photons * covered * np.sum(spectrum * detected * np.exp(-np.asarray(lost) * distance))
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
    offset = np.linalg.norm(np.asarray(detector.placed.positions) - np.asarray(muon.vertex), axis=-1)
    distance = float(np.average(offset, weights=np.asarray(mean.charge)))
    photons = PHOTONS[float(muon.kinetic_energy)]
    assert light == pytest.approx(
        counted(detector, photons, distance), rel=0.08 if detector.sensors.count > 1000 else 0.2
    )
    assert abs(float(readout.charge.sum()) - light - dark) < 6 * math.hypot(math.sqrt(2 * light), 0.04 * light)

    # Sensors in bright light fire between the times of light from the two ends of the track at 21.9 cm/ns (450 nm), give or
    # take 2 ns: most of the light is bluer, and slower by 1 % over 42 m; the first of several photoelectrons is early.
    bright = np.asarray(mean.charge) > 2.0
    assert bright.sum() > 5
    track = float(csda_range(muon.kinetic_energy))
    ends = np.asarray(muon.vertex) + np.outer([0.0, track], np.asarray(muon.direction))
    position = np.asarray(detector.placed.positions)[bright]
    flight = np.linalg.norm(position[:, None] - ends, axis=-1) / 219.0 + np.array([0.0, track / 299.8])
    late = np.asarray(mean.time)[bright] - float(muon.time)
    assert np.all(late > flight.min(axis=1) - 2)
    assert np.all(late < flight.max(axis=1) + 2)

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
