"""A channel whose wires are wrapped around a frame records the sum of its pieces, with the noise of all of them.

Both faces of the frame lie in one plane here, so the pieces of a wire meet in space: where one ends at a side of the frame, the
next begins on the other face. The test follows them by that, and knows nothing of the map by numbers.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import TPC, ColdElectronics, Deposits, DriftVolumes, InputError, LiquidArgon, TPCSimulator, WirePlane
from studio.detector import JoinedWires, slots_for
from studio.simulation.tpc.signals import joined

PITCH, ANGLE, SHIFT = 4.0, math.acos(0.6), 24
WIDTH = (400.0, PITCH * SHIFT / math.cos(ANGLE))  # 160 mm: 24 wires along the top of a face
SIMULATOR = TPCSimulator(segments=4, bins=4, around=4)


def frame(wrapped: bool = True, sign: float = 1.0) -> TPC:
    """A frame with a drift volume of 100 mm on either face."""
    volumes = DriftVolumes(
        [[0.0, 0.0, 0.0]] * 2, [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]] * 2, 100.0, WIDTH, 50.0
    )
    planes = (
        WirePlane(
            PITCH,
            sign * ANGLE,
            4.0,
            -250.0,
            slots=slots_for(PITCH, ANGLE, WIDTH),
            joined=JoinedWires(2, 2 * SHIFT, SHIFT) if wrapped else None,
        ),
        WirePlane(4.0, 0.0, 0.0, 600.0, slots=40),
    )
    return TPC(volumes, LiquidArgon(), planes, ColdElectronics(ticks=500, enc_base=50.0, enc_slope=2.0))


def followed(chamber: TPC) -> np.ndarray:
    """The wire that each piece `(volumes, slots)` belongs to, found by the places where pieces meet; -1 where there is none."""
    plane, volumes = chamber.planes[0], chamber.volumes
    ends, lengths = np.array(plane.ends(volumes)), np.asarray(plane.lengths(volumes))
    ends[..., 0] = 0.0  # the planes of both faces stand a little apart
    label = np.where(lengths > 0, np.arange(lengths.size).reshape(lengths.shape), -1)
    at_side = np.abs(np.abs(ends[..., 2]) - WIDTH[1] / 2) < 1e-6
    for wire in np.argwhere(label[0] >= 0)[:, 0]:
        for end in np.argwhere(at_side[0, wire])[:, 0]:
            apart = np.linalg.norm(ends[1] - ends[0, wire, end], axis=-1)
            other, other_end = np.unravel_index(np.argmin(np.where(at_side[1], apart, np.inf)), apart.shape)
            assert apart[other, other_end] < 1e-6
            label[label == label[1, other]] = label[0, wire]
    return label


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_map_follows_the_wire_around_the_frame(sign):
    chamber = frame(sign=sign)
    plane, label = chamber.planes[0], followed(frame(sign=sign))
    group, channel = (np.asarray(one) for one in plane.channel_of(np.arange(2)[:, None], np.arange(plane.slots)))
    assert np.all(group == 0)
    there = label >= 0
    pairs = {(int(wire), int(number)) for wire, number in zip(label[there], channel[there], strict=True)}
    assert len(pairs) == len(np.unique(label[there])) == len(np.unique(channel[there])) == 2 * SHIFT


def on_pieces(chamber: TPC, channel: int) -> list[tuple[int, np.ndarray]]:
    """The volume and the middle of each piece of a channel that is longer than 30 mm."""
    plane, volumes = chamber.planes[0], chamber.volumes
    _, channels = plane.channel_of(np.arange(2)[:, None], np.arange(plane.slots))
    long = np.asarray(plane.lengths(volumes)) > 30
    middles = np.asarray(plane.ends(volumes)).mean(axis=-2)
    return [
        (int(volume), middles[volume, slot]) for volume, slot in np.argwhere((np.asarray(channels) == channel) & long)
    ]


def deposits(chamber: TPC, channel: int) -> Deposits:
    """A short track 40 mm above each piece of a channel, one after the other in time."""
    pieces = on_pieces(chamber, channel)
    back = -40 * np.asarray(chamber.volumes.direction)
    position = np.array([middle + back[volume] for volume, middle in pieces])
    return Deposits(position, np.full(len(pieces), 2.0), 3.0, 1e4 * np.arange(len(pieces)), (0.0, 0.0, 1.0))


def test_a_channel_records_the_sum_of_its_pieces_wherever_the_charge_is():
    """Compared with the same frame whose wires end at its sides, summed by where pieces meet; to the last digits that sums in
    another order leave of some hundred counts, 1e-9."""
    chamber, alone = frame(), frame(wrapped=False)
    event = deposits(chamber, 7)
    assert event.count >= 3
    found = SIMULATOR.expected(chamber, event)
    pieces = SIMULATOR.expected(alone, event)
    label, plane = followed(chamber), chamber.planes[0]
    _, channel = plane.channel_of(np.arange(2)[:, None], np.arange(plane.slots))
    of_pieces = np.asarray(pieces.waveforms[0]) - float(pieces.pedestal)
    recorded = np.asarray(found.waveforms[0]) - float(found.pedestal)
    for wire in np.unique(label[label >= 0]):
        (number,) = np.unique(np.asarray(channel)[label == wire])
        np.testing.assert_allclose(recorded[number], of_pieces[label.ravel() == wire].sum(axis=0), atol=1e-9)
    # The largest signals are those of the channel, once for every piece: an electron cloud drifts for 40 mm / 1.6 mm/µs.
    arrivals = 1e4 * np.arange(event.count) + 40 / 1.594e-3
    for arrival in arrivals:
        around = slice(int(arrival / 500) - 10, int(arrival / 500) + 20)
        assert np.argmax(np.abs(recorded[:, around]).max(axis=1)) == 7
    np.testing.assert_allclose(found.waveforms[1], pieces.waveforms[1], atol=1e-9)


def test_noise_is_that_of_all_pieces_together():
    """Every wrapped wire is 400 / 0.6 mm long. The rms of 48 channels × 500 samples, of which neighbours in time are correlated
    over some five, is known to 1 / √(2 · 48 · 500 / 5) = 1 %; six of these."""
    chamber = frame()
    np.testing.assert_allclose(chamber.wire_lengths[0], 400 / 0.6, rtol=1e-9)
    empty = Deposits(np.zeros((1, 3)), np.zeros(1))
    drawn = SIMULATOR.sample(chamber, empty, jax.random.key(3))
    electronics = chamber.electronics
    counts = float(electronics.gain / electronics.full_scale) * (2**electronics.bits - 1)
    expected = math.hypot((50 + 2 * 400 / 0.6) * counts, math.sqrt(1 / 12))
    assert drawn.waveforms[0].shape == (2 * SHIFT, 500)
    assert float(jnp.std(drawn.waveforms[0])) == pytest.approx(expected, rel=0.06)


def test_the_sum_is_differentiable():
    """Against central differences of the summed squares of the channels by the places of the charge, to 1e-5: h² of 1e-3 mm."""
    chamber = frame()
    event = deposits(chamber, 7)
    simulator = SIMULATOR.fitted(chamber, [event], room=2.0)
    spectra = simulator.responses(chamber)

    @jax.jit
    def total(shift: jax.Array) -> jax.Array:
        moved = eqx.tree_at(lambda tree: tree.position, event, event.position + shift)
        found = simulator._expected(chamber, moved, spectra)
        return jnp.sum((found.planes[0].values - found.pedestal) ** 2)

    slope = jax.jit(jax.grad(total))(jnp.zeros(3))
    for axis in range(3):
        step = 1e-3 * jnp.eye(3)[axis]
        assert float(slope[axis]) == pytest.approx(float(total(step) - total(-step)) / 2e-3, rel=1e-5, abs=1e-3)


def test_planes_without_joined_wires_stay_as_they_are():
    signal = object()
    assert joined(signal, frame(wrapped=False).planes[0], 500) is signal


def test_a_grid_shapes_the_field_and_records_nothing():
    chamber = frame(wrapped=False)
    grid = WirePlane(4.0, 0.0, 8.0, -600.0, slots=40, read_out=False)
    screened = TPC(chamber.volumes, chamber.medium, (grid, *chamber.planes), chamber.electronics)
    event = deposits(frame(), 7)
    seen, screened_seen = (SIMULATOR.expected(one, event) for one in (chamber, screened))
    assert [one.shape for one in seen.waveforms] == [one.shape for one in screened_seen.waveforms]
    assert screened.channel_count == chamber.channel_count
    # What a grid is for: it keeps the slow rise of approaching charge from the first induction plane.
    before = slice(0, int(20 / 1.594e-3 / 500))
    slow, screened_slow = (
        np.abs(np.asarray(one.waveforms[0])[:, before] - float(one.pedestal)).max() for one in (seen, screened_seen)
    )
    assert screened_slow < 0.3 * slow


def test_volumes_that_are_no_whole_number_of_frames_are_refused():
    chamber = frame()
    three = DriftVolumes([[0.0, 0.0, 0.0]] * 3, [[1.0, 0.0, 0.0]] * 3, [[0.0, 1.0, 0.0]] * 3, 100.0, WIDTH, 50.0)
    with pytest.raises(InputError, match=r"planes.0.joined.volumes: 3 drift volumes are no whole number of groups"):
        TPC(three, chamber.medium, chamber.planes, chamber.electronics)
    with pytest.raises(InputError, match=r"joined.shift: not a whole number"):
        WirePlane(4.0, slots=3, joined=JoinedWires(2, 48, 23.5))
    with pytest.raises(InputError, match="no plane is read out"):
        TPC(chamber.volumes, chamber.medium, (WirePlane(4.0, slots=3, read_out=False),))
