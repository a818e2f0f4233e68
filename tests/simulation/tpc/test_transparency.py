"""The part of the drifting charge that reaches the collection plane.

Exact: the field of round conducting wires by the method of fundamental solutions (20 line charges inside each wire, their
charges fitted to the potential on its surface to 1e-4 V). What runs into the first plane's wires comes from the drift, so the
collected part is one minus its flux. A charge and a dipole per wire leave out (radius/pitch)² = 6e-4: tolerance 3e-4.

Bunemann, Cranshaw and Harvey (1949): all is collected while the field behind a grid over that before it exceeds
(1 + ρ)/(1 − ρ), ρ = 2π radius/pitch.
"""

import numpy as np
import pytest

import studio

RADIUS, PITCH = 0.075, 3.0
SBND = (-200.0, 0.0, 440.0)


def fundamental_solutions(height, bias, field):
    """Part of the flux of `field` that does not run into the first plane, all planes aligned, no field behind the last."""
    inside = 2 * np.pi * np.arange(20) / 20
    surface = 2 * np.pi * (np.arange(60) + 0.5) / 60
    sources = np.concatenate([h + 0.6 * RADIUS * np.exp(1j * inside) for h in height])
    points = np.concatenate([h + RADIUS * np.exp(1j * surface) for h in height])
    slope = -field / 2
    potential = -np.log(np.abs(2 * np.sinh(np.pi * (points[:, None] - sources) / PITCH)))
    matrix = np.block([[potential, np.ones((len(points), 1))], [np.full((1, len(sources)), 200 * np.pi / PITCH), 0.0]])
    right = np.append(np.repeat(bias, 60) - slope * points.real, 100 * field)
    charge = np.linalg.lstsq(matrix, right, rcond=1e-14)[0][:-1]
    around = 2 * np.pi * (np.arange(2000) + 0.5) / 2000
    places = height[0] + RADIUS * np.exp(1j * around)
    derivative = slope - np.pi / PITCH / np.tanh(np.pi * (places[:, None] - sources) / PITCH) @ charge
    inward = np.maximum(-(derivative * np.exp(1j * around)).real, 0.0)
    return 1 - np.mean(inward) * 2 * np.pi * RADIUS / (field * PITCH)


def collected(gap, bias=SBND, field=50.0, field_behind=0.0, phases=8, pitch=PITCH):
    short = {"start": 4 * gap + 10, "impacts": (0.2,), "time": np.arange(20) * 1e4, "wires": 3}
    planes = (pitch, (2 * gap, gap, 0.0), bias, field)
    return float(
        studio.field_response(*planes, field_behind=field_behind, transparency_phases=phases, **short).transparency
    )


@pytest.mark.parametrize(
    ("gap", "field"),
    [(3.0, 50.0), (3.5, 50.0), (4.0, 50.0), (4.5, 50.0), (5.0, 50.0), (8.0, 50.0), (3.0, 60.0), (3.0, 80.0)],
)
def test_loss_to_a_plane_of_round_wires_is_exact(gap, field):
    exact = fundamental_solutions((2 * gap, gap, 0.0), SBND, field)
    ours = collected(gap, field=field)
    print(gap, field, ours, exact)
    assert ours == pytest.approx(exact, abs=3e-4)


@pytest.mark.parametrize("factor", [1.03, 0.97])
def test_full_transparency_begins_where_bunemann_says(factor):
    """Of two grounded grids far from each other, so that the fields beside them are what the biases say.

    The mean field between wire planes is the difference of biases over the gap but for the logarithm of a grid's own
    potential, which is solved for here by asking for the ratio at which the loss begins.
    """
    rho = 2 * np.pi * RADIUS / PITCH
    field = 20.0
    wanted = factor * (1 + rho) / (1 - rho) * field
    # Gauss: charges per wire are (difference of the fields) pitch / 2π; a row's own potential is that times ln(2π r / pitch).
    own = np.log(2 * np.pi * RADIUS / PITCH) * PITCH / (2 * np.pi)
    gap = 12.0
    first, last = (wanted - field) * own, -wanted * own
    bias = (0.0, wanted * gap + last - first)
    part = studio.field_response(
        PITCH, (gap, 0.0), bias, field, field_behind=0.0, impacts=(0.2,), time=np.arange(20) * 1e4, start=40.0, wires=3
    ).transparency
    assert (part > 1 - 1e-5) == (factor > 1)  # 3 % beyond, some 1e-3 are lost


def test_what_leaves_behind_depends_on_the_phase():
    """MicroBooNE with 200 V/cm behind: the planes' relative phase decides, between all of the flux behind lost and none of it."""
    bias = (-110.0, 0.0, 230.0)

    def part(behind, phases):
        return collected(3.0, bias=bias, field=27.3, field_behind=behind, phases=phases)

    assert part(20.0, np.zeros((1, 3))) == pytest.approx(1 - 20 / 27.3, abs=1e-4)
    assert part(20.0, np.array([[0.0, 0.0, 0.5]])) == pytest.approx(1.0, abs=1e-4)
    assert part(-20.0, 8) == pytest.approx(1.0, abs=1e-3)
    even = np.stack(np.meshgrid(np.arange(12) / 12, np.arange(12) / 12), axis=-1).reshape(-1, 2)
    every = part(20.0, np.concatenate([np.zeros((144, 1)), even], axis=1))
    print(part(20.0, 8), every)
    assert part(20.0, 8) == pytest.approx(every, abs=0.02)  # eight phases for all of them
