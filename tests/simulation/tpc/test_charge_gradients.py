"""Charge at the anode is differentiable in every leaf: against finite differences, and finite at the edges.

Central differences of fourth order with steps of 1e-4 of the leaf's scale: truncation 1e-13 or so of smooth functions, rounding
1e-16/1e-4 = 1e-12 of the value; 1e-6 relative of each derivative is asked for, or 1e-9 of value over scale where the derivative
is that small. Float64.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import studio
from studio.detector import DriftVolumes, GridSpaceCharge
from studio.event import Deposits, Primary, track_deposits, track_latent_count
from studio.medium import LiquidArgon
from studio.medium.recombination import Birks, EllipsoidModifiedBox, ModifiedBox
from studio.simulation.tpc.drift import drift
from studio.units import ms

SEGMENTS = 24
LEAST = {
    "anode": 10.0,
    "vertex": 10.0,
    "direction": 0.1,
    "across": 0.1,
    "latents": 0.1,
}  # scales of leaves that may be 0


def _scene(law, particle: str, seed: int) -> dict:
    """Everything that the charge depends on, at a random point: a track that crosses the cathode, and leaves or stops."""
    random = np.random.default_rng(seed)
    direction = random.normal(size=3)
    direction[2] = 0.5 + abs(direction[2])
    shape = (4, 5, 4, 3)
    return {
        "medium": LiquidArgon(
            temperature=random.uniform(86, 90),
            electron_lifetime=random.uniform(1, 5) * ms,
            longitudinal_diffusion=random.uniform(4e-7, 7e-7),
            transverse_diffusion=random.uniform(9e-7, 16e-7),
            recombination=law,
        ),
        "volumes": DriftVolumes(
            [[0, 0, 400.0], [0, 0, -500.0]],
            [[0.02, 0.01, 1], [0.01, 0, -1]],
            [[1, 0, 0], [1, 0.1, 0]],
            [400.0, 500.0],
            [[260.0, 220.0], [3000.0, 2500.0]],
            random.uniform(20, 60, 2),
        ),
        "space_charge": GridSpaceCharge(
            [-1500.0] * 3, [1500.0] * 3, random.normal(size=shape) * 5, random.normal(size=shape)
        ),
        "vertex": jnp.asarray(random.uniform([-30, -30, -130], [30, 30, -70])),
        "direction": jnp.asarray(direction),
        "kinetic_energy": jnp.asarray(random.uniform(0.8, 1.2) * (150.0 if particle == "proton" else 120.0)),
        "time": jnp.asarray(random.uniform(0, 100)),
        "latents": jnp.asarray(random.normal(size=track_latent_count(SEGMENTS))),
    }


def _summary(particle: str, scene: dict) -> jax.Array:
    """A sum of all that arrives, with weights that differ from row to row, each term of order 1."""
    primary = Primary(particle, scene["vertex"], scene["direction"], scene["kinetic_energy"], scene["time"])
    deposits = track_deposits(primary, scene["medium"], SEGMENTS, latents=scene["latents"])
    charge = drift(deposits, scene["volumes"], scene["medium"], scene["space_charge"])
    # By deposit and volume, not by row: which of two parts comes first may change.
    phase = 0.7 * charge.deposit + 1.3 * charge.volume
    weight = charge.electrons / 1e5 * (1 + 0.5 * jnp.sin(phase))
    seen = charge.position / 100 + charge.extent / 10
    terms = (
        1
        + charge.time / 1e5
        + seen @ jnp.asarray([1.0, -0.7, 0.4])
        + charge.longitudinal_variance
        + charge.transverse_variance
        + charge.transverse_spread
        + charge.time_spread / 100
    )
    return jnp.sum(weight * terms) + jnp.sum(charge.photons) / 1e6 + charge.outside / 100


@pytest.mark.parametrize(
    ("law", "particle"),
    [(Birks(), "mu-"), (ModifiedBox(), "pi+"), (EllipsoidModifiedBox(), "proton")],
    ids=["Birks-muon", "ModifiedBox-pion", "EllipsoidModifiedBox-proton"],
)
def test_every_derivative_is_that_of_finite_differences(law, particle):
    shape = _scene(law, particle, 0)
    unravel = ravel_pytree(shape)[1]
    names = _names(shape)
    slope = jax.jit(jax.value_and_grad(lambda flat: _summary(particle, unravel(flat))))
    values = jax.jit(jax.vmap(lambda flat: _summary(particle, unravel(flat))))
    checked = set()
    for seed in (1, 2):
        flat = np.asarray(ravel_pytree(_scene(law, particle, seed))[0])
        base, slopes = (np.asarray(x) for x in slope(flat))
        assert np.isfinite(slopes).all()
        scale = np.maximum(np.abs(flat), [LEAST.get(name.split(".")[-1], 0.0) for name in names])
        # Every leaf, up to six elements of each, chosen at random.
        order = np.random.default_rng(seed).permutation(len(flat))
        chosen = [index for name in sorted(set(names)) for index in order[names[order] == name][:6]]
        moved = {k: values(flat + k * 1e-4 * np.diag(scale)[chosen]) for k in (-2, -1, 1, 2)}
        expected = (8 * (moved[1] - moved[-1]) - (moved[2] - moved[-2])) / 12e-4  # per relative change
        found, allowed = (slopes * scale)[chosen], 1e-6 * np.abs(expected) + 1e-9 * abs(base)
        wrong = np.abs(found - expected) > allowed
        assert not wrong.any(), (names[chosen][wrong], found[wrong], expected[wrong])
        checked |= set(names[chosen][np.asarray(expected) != 0])
    assert set(names) - checked <= {f"medium.{light}_length" for light in ("absorption", "rayleigh")}


def _names(scene: dict) -> np.ndarray:
    """The path of the leaf that each element of the flattened scene belongs to."""
    names = np.empty(ravel_pytree(scene)[0].shape, dtype=object)
    for path in studio.leaf_paths(scene):
        marked = studio.replace(scene, {path: jnp.full_like(studio.get(scene, path), jnp.nan)})
        names[np.isnan(ravel_pytree(marked)[0])] = path
    return names


def test_derivatives_are_finite_for_tracks_of_any_energy():
    """At rest, just above it, at the end of the range tables and beyond."""
    slope = jax.jit(jax.grad(lambda scene: _summary("proton", scene)))
    for energy in (0.0, 1e-12, 1e-6, 1e-3, 1e5, 1e7):
        slopes = slope(_scene(ModifiedBox(), "proton", 3) | {"kinetic_energy": jnp.asarray(energy)})
        for path in studio.leaf_paths(slopes):
            assert np.isfinite(np.asarray(studio.get(slopes, path))).all(), (path, energy)


def test_derivatives_are_finite_for_degenerate_deposits():
    """No length, no energy, no direction, on the anode, on the cathode, on a side, outside, padding."""
    volumes = DriftVolumes([[0, 0, 400.0]], [[0, 0, 1.0]], [[1.0, 0, 0]], 400.0, [100.0, 100.0], 50.0)

    def total(position, energy, length, direction, volumes, medium):
        charge = drift(Deposits(position, energy, length, 0.0, direction, weight=weight), volumes, medium)
        parts = (charge.electrons, charge.time_spread, charge.transverse_spread, charge.photons, charge.position)
        return sum(jnp.sum(part) for part in parts) + charge.outside

    position = jnp.asarray([[0, 0, z] for z in (100.0, 100, 100, 400, 0, 200, 900, 0)]).at[5, 0].set(50.0)
    energy = jnp.asarray([1.0, 0, 0, 1, 1, 1, 1, 0])
    length = jnp.asarray([0.0, 1, 0, 2, 2, 2, 2, 0])
    direction = jnp.asarray([[0.0, 0, 1]] * 8).at[0].set(0.0).at[7].set(0.0)
    weight = jnp.asarray([1.0] * 7 + [0.0])
    slopes = jax.jit(jax.grad(total, argnums=tuple(range(6))))(
        position, energy, length, direction, volumes, LiquidArgon()
    )
    for leaf in jax.tree.leaves(slopes):
        assert np.isfinite(leaf).all()
    assert slopes[1][0] > 0  # energy makes charge, also without length


def test_second_derivatives_are_those_of_finite_differences():
    """Information matrices differentiate twice: the Hessian in energy, temperature, field and height of a track against
    central differences of the gradient; 1e-6 of the largest element in units of the point."""
    volumes = DriftVolumes([[0, 0, 900.0]], [[0, 0, 1.0]], [[1, 0, 0]], 900.0, [3000.0, 3000.0], 50.0)

    def value(x):
        energy, temperature, field, height = x * point
        argon = LiquidArgon(temperature, recombination=EllipsoidModifiedBox())
        track = track_deposits(Primary("mu-", jnp.asarray([0, 0, 1.0]) * height, (1.0, 0, 0.4), energy), argon, 8)
        charge = drift(track, studio.replace(volumes, {"field": field}), argon)
        return jnp.sum(charge.electrons * (1 + charge.drift_time / 1e5 + charge.transverse_variance)) / 1e6

    point = jnp.asarray([290.0, 87.5, 45.0, 300.0])
    slope, ones = jax.jit(jax.grad(value)), jnp.ones(4)
    hessian = np.asarray(jax.jit(jax.hessian(value))(ones))
    columns = []
    for step in 1e-4 * jnp.eye(4):
        near, far = (slope(ones + k * step) - slope(ones - k * step) for k in (1, 2))
        columns.append((8 * near - far) / 12e-4)
    np.testing.assert_allclose(hessian, np.stack(columns, axis=-1), atol=1e-6 * np.abs(hessian).max())
