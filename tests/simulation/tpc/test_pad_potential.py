"""Weighting potentials of pads against solutions of Laplace's equation by other means."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import ndtr

from studio.simulation.tpc.pad_potential import LEVELS, STEP, level_weights, pad_potential

PLACES = ((0.0, 0.0), (1.5, 0.7), (2.0, 2.0), (5.0, 1.0), (9.0, 3.0))
HEIGHTS = np.array([0.5, 1.0, 2.0, 5.0, 10.0, 20.0])


def series(x, y, heights, side=4.0, box=400.0, modes=3000):
    """The same pad in the middle of the floor of a grounded box of 400 mm: the sum over sines, cut where the lowest height leaves
    exp(−π 3000 · 0.5/400) = 8e-6. Walls 200 mm away take off less than z · 16/(2π 200³) · 4 = 3e-5."""
    wave = np.arange(1, modes, 2) * np.pi / box  # even ones are 0 in the middle

    def along(at):
        amplitude = 4 / (box * wave) * np.sin(wave * box / 2) * np.sin(wave * side / 2)
        return amplitude * np.sin(wave * (box / 2 + at))

    both = np.sqrt(wave[:, None] ** 2 + wave**2)
    return np.array([along(x) @ np.exp(-both * height) @ along(y) for height in heights])


@pytest.mark.parametrize("place", PLACES)
def test_solid_angle_is_the_sum_over_sines(place):
    found = np.asarray(pad_potential(*place, jnp.asarray(HEIGHTS), 4.0))
    assert found == pytest.approx(series(*place, HEIGHTS), abs=5e-5)


@pytest.mark.parametrize("place", PLACES)
def test_products_of_factors_add_up_to_the_solid_angle(place):
    """To what the trapezoidal rule in log s is off by: of the order of exp(−π²/0.8) = 4e-6, times 5 above the middle of a pad."""
    shares = [ndtr((at + 2) / np.sqrt(LEVELS)) - ndtr((at - 2) / np.sqrt(LEVELS)) for at in place]
    heights = np.geomspace(0.2, 30.0, 40)
    weights = np.asarray(level_weights(jnp.asarray(heights), jnp.full(40, 1e-6)))
    found = np.sum(weights * shares[0] * shares[1], axis=-1)
    assert found == pytest.approx(np.asarray(pad_potential(*place, jnp.asarray(heights), 4.0)), abs=2.5e-5)


def test_collected_charge_is_one_on_the_pad_and_none_beside_it():
    """From far away to the plane: 1 where the electron ends, 0 on the neighbours, to the potential at 1e-6 mm."""
    start, end = (np.asarray(pad_potential(jnp.array([0.3, 4.3, -3.7]), 0.9, z, 4.0)) for z in (1e5, 1e-6))
    assert end - start == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize(("height", "spread"), [(3.0, 0.4), (0.2, 0.4), (-0.5, 0.4), (15.0, 1.5)])
def test_longitudinal_diffusion_is_folded_in(height, spread):
    """By quadrature over the height, for three of the variances."""
    found = np.asarray(level_weights(jnp.asarray(height), jnp.asarray(spread)))
    for index in (4, 9, 14):
        s = LEVELS[index]

        def integrand(z, s=s):
            levy = z / np.sqrt(2 * np.pi * s) * np.exp(-(z**2) / (2 * s))
            return levy * np.exp(-0.5 * ((z - height) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))

        expected = STEP * quad(integrand, 0, 40, points=[max(height, 0.0), np.sqrt(s)], limit=200)[0]
        assert found[index] == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_images_behind_a_cathode_are_as_small_as_said():
    """At 30 mm above pads of 4 mm with a cathode at 300 mm: the sum over 200 images."""
    n = np.arange(1, 200)
    at = lambda z: np.asarray(pad_potential(0.0, 0.0, jnp.asarray(z), 4.0))  # noqa: E731
    images = np.sum(at(2 * n * 300.0 + 30.0) - at(2 * n * 300.0 - 30.0))
    bound = 4.0**2 / (2 * np.pi) * 30.0 / 300.0**3 * 2.4
    assert -1e-5 < -bound < images < 0


def test_what_an_insulating_gap_does():
    """Pads of seven eighths of the pitch: on the insulator between them the field has no component across the plane, the pad in
    question is at 1, eight neighbours and what repeats every three pitches at 0. By conjugate gradients on the plane, where the
    operator from potential to field is |k|. The normal density that stands for the gap is a guess near it, off by 0.05
    half a gap above its crossings; 0.3 pitches up it is right to 7e-3, a pitch up to 2e-3."""
    cells, gap = 48, 0.125
    size = 3 * cells
    place = (np.arange(size) + 0.5) / cells - 1.5
    on_pad = np.abs(place - np.round(place)) < (1 - gap) / 2
    pad = on_pad[:, None] & on_pad
    centre = (np.abs(place) < 0.5)[:, None] & (np.abs(place) < 0.5)
    wave = 2 * np.pi * np.fft.fftfreq(size, 1 / cells)
    k = np.sqrt(wave[:, None] ** 2 + wave[: size // 2 + 1] ** 2)

    def field(potential):
        return np.fft.irfft2(np.fft.rfft2(potential) * k, (size, size))

    def on_gap(values):
        potential = np.zeros((size, size))
        potential[~pad] = values
        return field(potential)[~pad]

    fixed = np.where(pad & centre, 1.0, 0.0)
    count = int(np.sum(~pad))
    solved, failed = cg(LinearOperator((count, count), on_gap), -field(fixed)[~pad], rtol=1e-8)
    assert not failed
    fixed[~pad] = solved
    ground = np.fft.rfft2(fixed)
    for height, allowed in ((gap / 2, 0.05), (0.3, 7e-3), (1.0, 2e-3)):
        exact = np.fft.irfft2(ground * np.exp(-k * height), (size, size))
        weights = np.asarray(level_weights(jnp.asarray(height), jnp.asarray(1e-6)))
        width = np.sqrt(LEVELS + gap**2 / 8)
        repeats = np.arange(-40, 41)[:, None] * 3
        shares = [np.sum(ndtr((place - repeats + 0.5) / w) - ndtr((place - repeats - 0.5) / w), axis=0) for w in width]
        found = np.einsum("l,lx,ly->xy", weights, shares, shares)
        assert np.abs(found - exact).max() < allowed
