"""The simulator of pixels: charge is kept, currents are those of sums over single electrons, nothing jumps, derivatives are those of
the answer, and chips record what is predicted."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from studio import InputError, PixelSimulator, StudioError, get, replace
from studio.simulation.tpc.arrivals import arriving_charge
from studio.simulation.tpc.pad_potential import pad_potential
from studio.simulation.tpc.self_trigger import trigger_moments, triggered
from tests.simulation.tpc.small_pixels import piece, small_pixels

SHORT = 12.0  # mm: from where charge induces, where that does not matter


@functools.cache
def chamber():
    return small_pixels()


def on(found, row, column):
    """The place of a pad in the list."""
    (place,) = np.flatnonzero(
        (np.asarray(found.row) == row) & (np.asarray(found.column) == column) & (found.volume >= 0)
    )
    return place


def test_currents_are_those_of_single_electrons():
    """A cloud around a piece of track 1 mm long, by equal parts of 40 × 300 × 60 electrons through the closed form of one pad's
    potential. An edge between columns passes through the cloud, whose place 300 electrons tell to half of 1/300 = 1.7e-3 of the
    charge; so 2e-3. From 15 mm above the anode on, where nothing is faded out any more."""
    detector = chamber()
    event = piece(at=(100.0, 0.4, -1.3))
    found = PixelSimulator().expected(detector, event)
    charge = arriving_charge(detector, event, 2)
    electrons, time, velocity, sigma, along = (
        float(leaf[0])
        for leaf in (
            charge.electrons,
            charge.time,
            charge.velocity,
            charge.transverse_spread,
            charge.longitudinal_spread,
        )
    )
    quantile = lambda n: ndtri((np.arange(n) + 0.5) / n)  # noqa: E731
    y = 0.4 + sigma * quantile(40)
    edges = np.linspace(-10, 10, 200_001)
    half = 0.5 / sigma
    ramp = lambda x: x * ndtr(x) + np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)  # noqa: E731
    below = (ramp(edges + half) - ramp(edges - half)) / (2 * half)
    z = -1.3 + sigma * np.interp((np.arange(300) + 0.5) / 300, below, edges)
    centre = np.asarray(detector.pixels.centres(detector.volumes, found.volume * 0, found.row, found.column))
    for row, column in ((17, 17), (17, 16), (16, 17), (18, 18)):
        place = on(found, row, column)
        begin, seen = float(found.begin[place]), np.asarray(found.integrated[place])
        for edge in range(0, seen.size, 4):
            height = (time - begin - edge * found.slice) * velocity + along * quantile(60)
            if height.max() > 15:
                continue
            if height.max() < -1:
                break
            dy, dz = (y - centre[place, 1])[:, None, None], (z - centre[place, 2])[:, None]
            inside = (np.abs(dy) < 2) & (np.abs(dz) < 2)
            flying = np.asarray(pad_potential(dy, dz, jnp.asarray(np.maximum(height, 1e-9)), 4.0))
            expected = electrons * np.mean(np.where(height > 0, flying, inside))
            assert seen[edge] == pytest.approx(expected, abs=2e-3 * electrons)


@pytest.mark.parametrize(
    ("pitch", "at"), [(3.6, (5.0, 0.0, 0.0)), (4.0, (150.0, 1.3, 7.7)), (4.434, (280.0, -59.0, 33.3))]
)
def test_what_is_collected_is_what_drifts(pitch, at):
    """All of it but what diffuses past the edge of the plane: 1 mm from it, 2.4 standard deviations, less than 1 %, as counted."""
    detector, event = small_pixels(pitch, pad=3.4), piece(at=at, length=3.0, direction=(0.3, 0.4, 0.8))
    found = PixelSimulator(around=1, start=8.0).expected(detector, event)
    whole = float(jnp.sum(arriving_charge(detector, event, 2).electrons))
    assert float(jnp.sum(found.charge)) == pytest.approx(whole * (1 - float(found.outside)), rel=1e-6)
    assert float(found.outside) < (1e-2 if at[1] < -50 else 1e-6)


def bends(values):
    """The largest second difference along a scan, in units of the largest value: a jump stays as large, what is smooth falls as the
    square of the step."""
    return np.abs(np.diff(values, n=2, axis=0)).max() / np.abs(values).max()


@pytest.mark.parametrize("x", [100.0, 1.0])
def test_nothing_jumps_where_charge_crosses_a_pad_or_the_pitch_moves_its_edge(x):
    """In 20 steps of 2 µm across an edge, diffusion being 0.35 mm, and 20 steps of the pitch that move the edge by as much; at 1 mm from the
    anode diffusion is 0.04 mm: second differences of (2/350)² and (2/40)²/3, 1e-5 and 1e-3, are those of a smooth step."""
    simulator = PixelSimulator(start=SHORT).fitted(chamber(), [piece(at=(x, 1.0, 0.0))], room=0.5)

    @jax.jit
    def dense(detector, event):
        found = simulator.expected(detector, event)
        charge = jnp.zeros((40, 40)).at[found.row, found.column].add(jnp.where(found.volume >= 0, found.total, 0.0))
        early = jnp.sum(found.charge * (1 + jnp.sin(found.row + 2.0 * found.column))[:, None], axis=0)
        return jnp.concatenate([charge.ravel(), early])

    moved = [dense(chamber(), piece(at=(x, 1.0, shift))) for shift in np.linspace(-0.02, 0.02, 21)]
    allowed = 1e-4 if x > 10 else 1e-2
    assert bends(np.array(moved)) < allowed
    stretched = [
        dense(replace(chamber(), {"pixels.pitch": jnp.asarray(4.0 * (1 + s))}), piece(at=(x, 1.0, 8.0)))
        for s in np.linspace(-0.0025, 0.0025, 21)
    ]
    assert bends(np.array(stretched)) < allowed


FREE = (
    "pixels.pitch",
    "pixels.pad",
    "medium.longitudinal_diffusion",
    "medium.transverse_diffusion",
    "medium.electron_lifetime",
    "medium.temperature",
    "volumes.field",
    "electronics.threshold",
    "electronics.reset_noise",
    "electronics.discriminator_noise",
)


@functools.cache
def scalar():
    """A smooth function of slices and of what chips record, and its gradient, by leaves of the detector."""
    detector = small_pixels(pad=3.6)
    event = piece(at=(100.0, 1.0, -1.7), length=2.0, direction=(0.3, 0.2, 0.9))
    simulator = PixelSimulator(around=1, start=8.0).fitted(detector, [event], room=0.5)

    def value(leaves):
        there = replace(detector, leaves)
        found = simulator.expected(there, event)
        weight = jnp.sin(1.0 + found.row + 2.0 * found.column)[:, None]
        late = jnp.cos(0.3 * jnp.arange(found.charge.shape[1]) + found.begin[:, None] / 3000)
        chips = trigger_moments(found.integrated, found.slice, there.electronics, 1)
        recorded = chips.fires * (chips.charge / 1e4 + (chips.time + found.begin[:, None]) / 1e5)
        return jnp.sum(weight * late * found.charge) / 1e4 + jnp.sum(weight * recorded)

    at = {name: jnp.asarray(get(detector, name), float) for name in FREE}
    return at, jax.jit(value), jax.jit(jax.grad(value))(at)


@pytest.mark.parametrize("path", FREE)
def test_derivatives_against_differences(path):
    """Central differences of 1e-5 in float64: 1e-4 relative, for kinks of the running maximum, or 1e-8 of the whole."""
    at, value, slope = scalar()
    step = 1e-5 * abs(float(at[path]))
    up, down = ({**at, path: at[path] + sign * step} for sign in (1, -1))
    differences = (float(value(up)) - float(value(down))) / (2 * step)
    assert float(slope[path]) == pytest.approx(differences, rel=1e-4, abs=1e-8 * abs(float(value(at) / at[path])))


def test_samples_are_what_is_predicted():
    """2,000 samples clock by clock of 14,600 and 860 e on two pads: charges, times and the probabilities of a trigger within 4 of their
    errors and 0.5 % of the charge, 20 ns of the time: what slices of 400 ns leave."""
    detector, event = chamber(), piece()
    simulator = PixelSimulator(around=1, start=8.0).fitted(detector, [event], room=0.0)
    mean = simulator.expected(detector, event)
    predicted = trigger_moments(mean.integrated, mean.slice, detector.electronics, 1)
    draw = jax.jit(lambda keys: jax.lax.map(lambda key: simulator.sample(detector, event, key), keys, batch_size=100))
    found = draw(jax.random.split(jax.random.key(1), 2000))
    place = on(mean, 17, 17)
    assert 14e3 < float(mean.total[place]) < 15e3
    hit = np.asarray(found.hit[:, place, 0])
    assert hit.all()
    for seen, value, variance, slack in (
        (found.charge, predicted.charge, predicted.charge_variance, 5e-3 * 14.5e3),
        (found.time - mean.begin[place], predicted.time, predicted.time_variance, 20.0),
    ):
        seen = np.asarray(seen[:, place, 0])
        assert seen.mean() == pytest.approx(float(value[place, 0]), abs=4 * seen.std() / np.sqrt(2000) + slack)
        # The spread of 2,000 is known to 1.6 %, four of which are 6 %.
        assert seen.std() == pytest.approx(np.sqrt(float(variance[place, 0])), rel=0.08)
    beside = on(mean, 17, 18)
    probability = float(predicted.fires[beside, 0])
    error = np.sqrt(probability * (1 - probability) / 2000)
    assert np.mean(np.asarray(found.hit[:, beside, 0])) == pytest.approx(probability, abs=4 * error)


@pytest.mark.parametrize("energy", [0.2, 0.25])
def test_charge_near_threshold_fires_as_often_as_predicted(energy):
    """Charges near the threshold of 5 ke over the middle of a pad: 2,000 samples of the chip alone: four errors."""
    detector, event = chamber(), piece(energy, at=(100.0, 0.0, 0.0))
    mean = PixelSimulator(around=1, start=8.0, clocks=1).fitted(detector, [event], 0.0).expected(detector, event)
    predicted = trigger_moments(mean.integrated, mean.slice, detector.electronics, 1)
    place = on(mean, 17, 17)
    keys = jax.random.split(jax.random.key(2), 2000)
    fired = jax.vmap(lambda key: triggered(key, mean.integrated[place][None], detector.electronics).fired[0, 0])(keys)
    probability = float(predicted.fires[place, 0])
    assert 0.02 < probability < 0.98
    assert np.mean(np.asarray(fired)) == pytest.approx(
        probability, abs=4 * np.sqrt(probability * (1 - probability) / 2000)
    )


def test_the_pitch_changes_without_compiling_anew():
    simulator, event = PixelSimulator(start=SHORT).fitted(chamber(), [piece()], room=0.5), piece()
    count = []

    @jax.jit
    def total(pitch):
        count.append(1)
        return jnp.sum(simulator.expected(replace(chamber(), {"pixels.pitch": pitch}), event).total)

    assert float(total(4.0)) == pytest.approx(float(total(4.4)), rel=1e-6)
    assert len(count) == 1


def test_a_stack_and_a_traced_event_without_sizes_are_refused():
    two = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), piece())
    with pytest.raises(InputError, match="stack of events"):
        PixelSimulator().expected(chamber(), two)
    with pytest.raises(StudioError, match="fitted"):
        jax.jit(lambda event: PixelSimulator().expected(chamber(), event).total)(piece())
