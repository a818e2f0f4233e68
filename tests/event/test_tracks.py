"""Tracks in argon: energy is kept exactly, ranges are those of the tables, latents spread tracks as they should."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio._checks import InputError
from studio.constants import MUON_MASS, PION_MASS, PROTON_MASS, SPEED_OF_LIGHT
from studio.event import Primary, track_deposits, track_latent_count
from studio.event.stopping import mass_stopping_power, range_straggling
from studio.medium import LiquidArgon
from studio.units import cm

ARGON = LiquidArgon()
DIRECTION = jnp.asarray([0.3, -0.5, 0.8]) / np.sqrt(0.98)


@pytest.mark.parametrize("particle", ["mu-", "mu+", "pi-", "pi+", "proton"])
def test_energies_add_up_to_the_kinetic_energy(particle):
    """To 1e-12 relative, at any energy from rest to 30 GeV and whatever the latents."""

    @jax.jit
    def total(energy, latents):
        primary = Primary(particle, kinetic_energy=energy)
        return (
            track_deposits(primary, ARGON, 30).total_energy,
            track_deposits(primary, ARGON, 30, latents=latents).total_energy,
        )

    latents = jnp.asarray(np.random.default_rng(1).normal(size=track_latent_count(30)))
    for energy in (0.0, 1e-12, 1e-4, 0.3, 5.0, 77.0, 800.0, 3e4):
        np.testing.assert_allclose(total(energy, latents), energy, rtol=1e-12)


@pytest.mark.parametrize(
    ("particle", "energy", "published"),
    [("mu-", 100.0, 42.50), ("mu+", 1000.0, 616.3), ("proton", 100.0, 10.92), ("proton", 300.0, 71.44)],
)
def test_length_is_the_published_range_over_the_density(particle, energy, published):
    """Ranges in g/cm² of Groom et al. 2001 and PSTAR (see test_stopping); 0.3 %."""
    track = track_deposits(Primary(particle, (10.0, 20.0, 30.0), DIRECTION, energy, 5.0), ARGON)
    length = published / float(ARGON.density) * cm
    assert jnp.sum(track.length) == pytest.approx(length, rel=3e-3)
    assert (np.diff(track.energy / track.length) > 0)[-30:].all()  # dE/dx rises to the end
    end = track.position[-1] + 0.5 * track.length[-1] * track.direction[-1]
    np.testing.assert_allclose(end, jnp.asarray([10.0, 20.0, 30.0]) + jnp.sum(track.length) * DIRECTION, rtol=1e-12)


def test_a_pion_goes_as_far_as_a_muon_of_the_same_velocity_scaled_by_mass():
    """Range / mass depends on βγ alone but for the largest energy transfer, 0.5 % here: an argument, no table."""
    pion, muon = (
        jnp.sum(track_deposits(Primary(name, kinetic_energy=0.9 * mass), ARGON).length) / mass
        for name, mass in (("pi+", 139.57039), ("mu+", MUON_MASS))
    )
    assert pion / muon == pytest.approx(1.0, abs=5e-3)


def test_segments_follow_the_stopping_power():
    """A proton's energy along its path against a step-by-step integration of dT/dx = −ρ S(T) with 1 µm steps, and its time
    against ∫dx/(βc): 0.2 %, the range table's splines and steps of 1/100 of the path in time."""
    track = track_deposits(Primary("proton", (0, 0, 0), (0, 0, 1), 150.0), ARGON)
    energy, time, z, step = 150.0, 0.0, 0.0, 1e-2
    targets = np.asarray(track.position[:, 2] + 0.5 * track.length)
    left = 150.0 - np.cumsum(track.energy)
    end = np.asarray(track.time)
    for index in (10, 40, 70):
        while z < targets[index] - 0.5 * float(track.length[index]):
            z, energy, time = _advance(energy, time, z, step)
        assert time == pytest.approx(float(end[index]), rel=3e-3)
        while z < targets[index]:
            z, energy, time = _advance(energy, time, z, step)
        assert energy == pytest.approx(float(left[index]), rel=2e-3)


def _advance(energy: float, time: float, z: float, step: float) -> tuple[float, float, float]:
    gamma = 1 + energy / PROTON_MASS
    time += step / (SPEED_OF_LIGHT * np.sqrt(1 - 1 / gamma**2))
    return z + step, energy - step * float(mass_stopping_power(energy, PROTON_MASS)) * float(ARGON.density) / cm, time


def test_a_track_may_be_followed_for_a_part_only():
    whole = track_deposits(Primary("mu-", kinetic_energy=5000.0), ARGON, 400)
    part = track_deposits(Primary("mu-", kinetic_energy=5000.0), ARGON, 50, longest=3000.0)
    assert jnp.sum(part.length) == pytest.approx(3000.0, rel=1e-12)
    inside = jnp.interp(3000.0, jnp.cumsum(whole.length), jnp.cumsum(whole.energy))
    assert part.total_energy == pytest.approx(float(inside), rel=1e-4)  # linear between ends of 5 cm segments


def test_scattering_displaces_tracks_as_the_integral_says():
    """Lateral variance of a 500 MeV muon at depth x: ∫₀ˣ (x − s)² P(s) ds with P from an own integration. 4,000 tracks, two
    planes: the variance of a sample is known to √(2/8000) = 1.6 %; four standard deviations, and 2 % for chords."""
    segments = 60

    @jax.jit
    @jax.vmap
    def positions(latents):
        primary = Primary("mu-", (0, 0, 0), (0, 0, 1), 500.0)
        return track_deposits(primary, ARGON, segments, latents=latents.at[0].set(0.0)).position

    latents = jax.random.normal(jax.random.key(4), (4000, track_latent_count(segments)))
    found = np.asarray(positions(latents))
    straight = np.asarray(track_deposits(Primary("mu-", kinetic_energy=500.0), ARGON, segments).position[:, 2])
    step, energy, power = 1.0, 500.0, []
    for _ in range(int(straight[30])):
        momentum_beta = energy * (energy + 2 * MUON_MASS) / (energy + MUON_MASS)
        power.append((13.6 / momentum_beta) ** 2 / float(ARGON.radiation_length))
        energy -= step * float(mass_stopping_power(energy, MUON_MASS)) * float(ARGON.density) / cm
    s = (np.arange(len(power)) + 0.5) * step
    for index in (15, 30):
        x = straight[index]
        expected = np.sum(np.where(s < x, (x - s) ** 2 * np.asarray(power), 0.0)) * step
        variance = np.mean(found[:, index, :2] ** 2)
        assert variance == pytest.approx(expected, rel=4 * 0.016 + 0.02)


def test_scattered_segments_join_and_keep_their_length():
    latents = jnp.asarray(np.random.default_rng(2).normal(size=track_latent_count(40)))
    track = track_deposits(Primary("proton", (1, 2, 3), DIRECTION, 60.0), ARGON, 40, latents=latents)
    np.testing.assert_allclose(jnp.linalg.norm(track.direction, axis=-1), 1.0, rtol=1e-12)
    half = 0.5 * track.length[:, None] * track.direction
    np.testing.assert_allclose((track.position + half)[:-1], (track.position - half)[1:], atol=1e-9)
    np.testing.assert_allclose((track.position - half)[0], [1, 2, 3], atol=1e-9)


def slopes_of_lengths(primary, segments):
    """Lengths of the segments `(segments,)` in mm, and their derivatives by the latents `(segments, latents)`."""

    def lengths(latents):
        return track_deposits(primary, ARGON, segments, latents=latents).length

    still = jnp.zeros(track_latent_count(segments))
    return np.asarray(lengths(still)), np.asarray(jax.jacobian(lengths)(still))


@pytest.mark.parametrize("segments", [5, 60])
@pytest.mark.parametrize(("name", "mass", "energy"), [("proton", PROTON_MASS, 120.0), ("mu-", MUON_MASS, 500.0)])
def test_straggling_spreads_the_range(name, mass, energy, segments):
    """However many segments share it, the range has its Bohr straggling: the variance is the sum over latents; 1e-9, no statistics."""
    lengths, slopes = slopes_of_lengths(Primary(name, kinetic_energy=energy), segments)
    sigma = float(range_straggling(jnp.asarray(energy), mass))
    assert np.linalg.norm(np.sum(slopes, axis=0)) == pytest.approx(sigma * np.sum(lengths), rel=1e-9)


def test_energy_is_kept_whatever_fluctuates():
    """The mean of 4,000 tracks has the mean length, to four errors; each has its energy, and no segment turns round."""
    proton, segments = Primary("proton", kinetic_energy=60.0), 20
    latents = jax.random.normal(jax.random.key(1), (4000, track_latent_count(segments)))
    tracks = jax.vmap(lambda one: track_deposits(proton, ARGON, segments, latents=one))(latents)
    np.testing.assert_allclose(np.sum(tracks.energy, axis=-1), 60.0, rtol=1e-9)
    assert np.min(tracks.length) > 0
    ranges = np.sum(np.asarray(tracks.length), axis=-1)
    mean = float(jnp.sum(track_deposits(proton, ARGON, segments).length))
    assert np.mean(ranges) == pytest.approx(mean, abs=4 * np.std(ranges) / np.sqrt(4000))


def vavilov(kappa, beta_squared):
    """σ, in ξ, of the normal density that tells as much of its place as Vavilov's, whose characteristic function is
    exp ∫ (exp(itT) − 1 − itT) ξ/T² (1 − β² T/Tmax) dT: 1/√∫ f'²/f. Its grid is good to 0.5 %."""
    largest = 1 / kappa
    width, count = max(60.0, min(400.0, 40 * np.sqrt(largest))), 4096
    losses = np.geomspace(1e-6 * largest, largest, 3001)
    middle = np.sqrt(losses[1:] * losses[:-1])
    often = np.diff(losses) / middle**2 * (1 - beta_squared * middle / largest)
    wave = 2 * np.pi * np.fft.rfftfreq(count, width / count)
    turn = wave[:, None] * middle
    small = -(turn**2) / 2 - 1j * turn**3 / 6
    exponent = np.where(turn < 1e-3, small, np.exp(1j * turn) - 1 - 1j * turn) @ often - 0.5 * losses[0] * wave**2
    transform = np.conj(np.exp(exponent))
    density, slope = (
        np.fft.fftshift(np.fft.irfft(one, count)) * count / width for one in (transform, 1j * wave * transform)
    )
    kept = density > 1e-6 * density.max()
    return 1 / np.sqrt(np.sum(slope[kept] ** 2 / density[kept]) * width / count)


@pytest.mark.parametrize(("name", "mass", "energy", "segments"), [
    ("proton", PROTON_MASS, 60.0, 40), ("proton", PROTON_MASS, 100.0, 300), ("pi-", PION_MASS, 80.0, 60),
    ("mu-", MUON_MASS, 300.0, 20), ("mu-", MUON_MASS, 1000.0, 100),
])  # fmt: skip
def test_a_segment_tells_of_its_loss_what_vavilov_allows(name, mass, energy, segments):
    """The first segment's own σ of length, which is that of its loss: −10 % to +1 % of Vavilov's, the price of a closed form."""
    primary = Primary(name, kinetic_energy=energy)
    lengths, slopes = slopes_of_lengths(primary, segments)
    lost = float(track_deposits(primary, ARGON, segments).energy[0])
    gamma = 1 + (energy - 0.5 * lost) / mass
    squared = 1 - gamma**-2
    ratio = 0.511 / mass
    largest = 2 * 0.511 * (gamma**2 - 1) / (1 + 2 * gamma * ratio + ratio**2)
    xi = 0.5 * 0.307075 * 18 / 39.948 * float(ARGON.density) * lengths[0] / cm / squared
    expected = vavilov(xi / largest, squared) * xi / lost
    assert 0.9 < slopes[0, 1] / lengths[0] / expected < 1.01


def test_what_is_no_track_is_refused():
    with pytest.raises(InputError, match="leaves no single track.*'e-'"):
        track_deposits(Primary("e-"), ARGON)
    with pytest.raises(InputError, match=r"latents: shape \(3,\).*give shape \(31,\)"):
        track_deposits(Primary("mu-"), ARGON, 10, latents=jnp.zeros(3))
    with pytest.raises(InputError, match="jax.vmap"):
        track_deposits(Primary("mu-", jnp.zeros((2, 3)), jnp.ones((2, 3)), jnp.ones(2)), ARGON)
    with pytest.raises(InputError, match="at least 2"):
        track_deposits(Primary("mu-"), ARGON, 1)
