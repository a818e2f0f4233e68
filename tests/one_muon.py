"""One muon in any detector: where it stays inside, and how well it is found again."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import numpy as np

from studio import Box, Cylinder, Detector, OpticalSimulator, Primary, reconstruct
from studio.inference import Status
from studio.study.optical import fitting
from studio.units import MeV, m


def contained_muon(detector: Detector) -> Primary:
    """A muon off the centre and slanted, so that no symmetry helps: 500 MeV (2.2 m of track) where there is room, 250 MeV
    (0.8 m) in a tank of less than 3 m across."""
    volume = detector.volume
    if isinstance(volume, Cylinder):
        extent = np.array([2 * volume.radius, 2 * volume.radius, volume.height], float)
    elif isinstance(volume, Box):
        extent = np.asarray(volume.size, float)
    else:
        extent = np.full(3, 2 * float(volume.radius))
    energy = 500 * MeV if extent.min() > 3 * m else 250 * MeV
    return Primary("mu-", tuple(extent * (-0.15, 0.08, 0.06)), (0.8, -0.5, 0.33), energy, time=2.0)


@dataclasses.dataclass(frozen=True)
class Found:
    """A reconstructed muon: `errors` of vertex (mm, 3), energy (MeV) and time (ns) with their `sigma`, the angle between
    true and found direction with its σ (deg), how the fit ended, what it fitted."""

    errors: np.ndarray
    sigma: np.ndarray
    angle: float
    angle_sigma: float
    status: str
    goodness: float
    photoelectrons: float


def found_again(detector: Detector, seed: int) -> Found:
    """The muon sampled with all its fluctuations and reconstructed as studies do, with nothing known of it."""
    simulator, truth = OpticalSimulator(), contained_muon(detector)
    readout = eqx.filter_jit(simulator.sample)(detector, truth, jax.random.key(seed))
    stack = jax.tree.map(lambda leaf: leaf[None], readout)
    result = reconstruct(fitting(simulator), detector, stack, starts=2)
    fit = jax.tree.map(lambda leaf: np.asarray(leaf[0]), result.primary)
    sigma = dict(zip(result.names, np.sqrt(np.diag(np.asarray(result.covariance[0]))), strict=True))
    cosine = float(np.dot(fit.direction, np.asarray(truth.direction)))
    return Found(
        errors=np.array(
            [*(fit.vertex - truth.vertex), fit.kinetic_energy - truth.kinetic_energy, fit.time - truth.time]
        ),
        sigma=np.array([sigma[name] for name in ("vertex.x", "vertex.y", "vertex.z", "kinetic_energy", "time")]),
        angle=float(np.degrees(np.arccos(min(1.0, cosine)))),
        angle_sigma=float(np.degrees(np.hypot(sigma["direction.1"], sigma["direction.2"]))),
        status=Status(int(result.status[0])).name,
        goodness=float(result.goodness[0]),
        photoelectrons=float(readout.charge.sum()),
    )
