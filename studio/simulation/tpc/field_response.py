"""The field response: the currents that one drifting electron induces on the wires around it, from the geometry of the planes."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from ..._checks import InputError, StudioError, whole_number
from ...units import mm, ns, us
from .anode import Anode, Mesh, phase_lattice
from .drift_field import solve_drift_field
from .drift_path import drift_paths
from .drift_velocity import drift_velocity
from .induced_current import current_in_ticks
from .transparency import collected_share
from .weighting_field import solve_weighting_field

WIRE_RADIUS = 0.075 * mm
MESH_DISTANCE = 12 * mm
START = 100 * mm
TICK = 100 * ns
TICKS = 1200
IMPACTS = tuple((np.arange(10) + 0.5) / 10 - 0.5)

_KEPT = 8  # responses of concrete geometries that are not computed again


class FieldResponse(eqx.Module):
    """Currents per electron for electrons that start at a common height above the planes.

    `current[plane, wire, impact, tick]` in e/ns is that of the wire at `offsets[wire]` pitches from the wire that the electron
    aims at, if it starts `impacts[impact]` pitches of that plane beside the latter. Collected electrons have the integral −1.
    A wire that is n pitches away from an electron at transverse distance y has the offset −round(y / pitch) and the
    impact that is left over.

    **Fields**: `current (planes, wires, impacts, ticks)`; `offsets (wires,)`, whole numbers around 0; `impacts (impacts,)`, fractions
    of a pitch; `time (ticks,)` in ns since the start, the middle of ticks, each a mean of the current with the quadratic
    B-spline of one tick; `transparency`: the part of electrons that end on the last plane, whatever the impact.
    """

    current: Float[Array, "planes wires impacts ticks"]
    offsets: Float[Array, " wires"]
    impacts: Float[Array, " impacts"]
    time: Float[Array, " ticks"]
    transparency: Float[Array, ""]

    @property
    def charge(self) -> Float[Array, "planes wires impacts ticks"]:
        """Charge in e that has been induced by the end of each tick, −Δ(weighting potential): electronics convolve its derivative."""
        return jnp.cumsum(self.current, axis=-1) * (self.time[1] - self.time[0])


def field_response(
    pitch: float | Array,
    plane_positions: tuple[float, ...] | Array,
    bias: tuple[float, ...] | Array,
    drift_field: float | Array,
    *,
    wire_radius: float | Array = WIRE_RADIUS,
    impacts: tuple[float, ...] | Array = IMPACTS,
    time: Array | None = None,
    field_behind: float | Array | None = None,
    mesh_distance: float | Array = MESH_DISTANCE,
    mesh_bias: float | Array = 0.0,
    start: float | Array = START,
    temperature: float | Array = 87.3,
    wires: int = 41,
    phases: int | Array = 1,
    transparency_phases: int | Array = 8,
) -> FieldResponse:
    """The response of planes of parallel wires in liquid argon, computed from their geometry and differentiable in it.

    The wires are seen along themselves, those of all planes as parallel. The drift field is that of a line charge and a line dipole on each
    wire which put it at its bias; electrons follow it with the velocity of `drift_velocity`, without diffusion, to a wire's surface;
    the induced current is −e d(weighting potential)/dt. Weighting potentials come from a supercell of `wires` wires of
    every plane, repeated to either side: the response at an offset of n pitches is shared with the wire `wires` − n pitches away on
    the other side, and the sum over offsets is that of a whole plane.

    **Arguments**, planes in the order in which electrons meet them:

    - `pitch` in mm, one for all planes or `(planes,)`; any number of planes, a grid among them.
    - `plane_positions (planes,)`: heights in mm above the collection plane, falling, the last 0, for example (6, 3, 0).
    - `bias (planes,)` in V; `drift_field` in V/mm above the planes, positive.
    - `wire_radius` in mm, one or `(planes,)`.
    - `impacts (impacts,)`: where electrons start, in pitches beside a wire of the plane whose current is asked for. Exactly 0 with
      aligned wires leads to a point without field, where an electron stays; the default is ten bins' middles.
    - `time (ticks,)` in ns, evenly spaced middles of ticks; by default 1,200 ticks of 100 ns.
    - `field_behind` the last plane in V/mm, positive if it drives electrons on; by default None: what stands there is a
      conductor, a mesh or a wall, at `mesh_bias` (V) and `mesh_distance` (mm) from the last plane. With it, at any distance from 8 to 20 mm, the
      published two-dimensional responses of MicroBooNE and SBND are reproduced; with no field behind, the ways
      that start at 0.4 of a pitch differ.
    - `start`: the height in mm above the collection plane where electrons start, `time` counts from and weighting potentials are
      zero; the cathode, as far as the planes can tell.
    - `temperature` in K.
    - `wires`: an odd number.
    - `phases`: how the planes' wires stand relative to each other. Wires of real planes cross, and pitches differ, so every
      relative phase occurs. 1: aligned where the electron passes, as in the published responses; n: mean over n phases, evenly
      spread over all of them; or `(sets, planes)` in pitches. With unequal pitches each plane keeps its own in its supercell.
      The mean over phases takes the other wires as parallel all along, so it overstates how far they push an electron sideways.
    - `transparency_phases`: the same for the transparency.

    Where a value is traced (inside jit, grad, vmap) it is trusted; concrete ones are checked, and the response of concrete
    inputs is kept for when it is asked for again.

    **Raises** `InputError` for shapes that do not match, sizes that are not positive, planes out of order, wires or planes that overlap,
    a start among the planes, times that are not even or end before the electrons; `StudioError` without float64.

    Source: W. Shockley, J. Appl. Phys. 9 (1938) 635; S. Ramo, Proc. IRE 27 (1939) 584; the grid of line charges: O. Bunemann, T. E.
    Cranshaw, J. A. Harvey, Can. J. Res. A 27 (1949) 191, whose condition for full transparency needs the dipoles.
    """
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise StudioError(
            "the field response needs float64, which is off: call jax.config.update('jax_enable_x64', True) before the first array"
        )
    behind: Array | Mesh = (
        _floats(field_behind, "field_behind", ())
        if field_behind is not None
        else Mesh(_positive(mesh_distance, "mesh_distance", ()), _floats(mesh_bias, "mesh_bias", ()))
    )
    height = _floats(plane_positions, "plane_positions", None)
    planes = height.shape
    anode = Anode(
        height,
        _positive(pitch, "pitch", planes),
        _positive(wire_radius, "wire_radius", planes),
        _floats(bias, "bias", planes),
        jnp.zeros(planes),
        _positive(drift_field, "drift_field", ()),
        _positive(start, "start", ()),
        _positive(temperature, "temperature", ()),
        behind,
    )
    _check_places(anode)
    ticks = _checked_time(time, anode)
    start_points = _floats(impacts, "impacts", None)
    sets = [
        _phase_sets(value, name, planes[0])
        for value, name in ((phases, "phases"), (transparency_phases, "transparency_phases"))
    ]
    count = whole_number("wires", wires, 3)
    if count % 2 == 0:
        raise InputError("must be odd, so that one wire stands in the middle", key="wires", value=wires)
    return _remembered((anode, start_points, ticks, *sets), count)


_memory: OrderedDict[tuple[object, ...], FieldResponse] = OrderedDict()


def _remembered(inputs: tuple[Any, ...], wires: int) -> FieldResponse:
    leaves, structure = jax.tree.flatten(inputs)
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        return _response(*inputs, wires)  # pyright: ignore[reportCallIssue]
    key = (wires, structure, *((leaf.shape, np.asarray(leaf).tobytes()) for leaf in leaves))
    if key not in _memory:
        _memory[key] = _response(*inputs, wires)  # pyright: ignore[reportCallIssue]
        while len(_memory) > _KEPT:
            _memory.popitem(last=False)
    _memory.move_to_end(key)
    return _memory[key]


@eqx.filter_jit
def _response(
    anode: Anode,
    impacts: Float[Array, " impacts"],
    time: Float[Array, " ticks"],
    phases: Float[Array, "sets planes"],
    transparency_phases: Float[Array, "more planes"],
    wires: int,
) -> FieldResponse:
    @jax.checkpoint
    def of_phase(phase: Array) -> Array:
        return _currents(eqx.tree_at(lambda tree: tree.phase, anode, phase), impacts, time, wires)

    current = jnp.mean(jax.lax.map(of_phase, phases), axis=0) if len(phases) > 1 else of_phase(phases[0])
    offsets = jnp.arange(wires) - wires // 2.0
    return FieldResponse(current, offsets, impacts, time, collected_share(anode, transparency_phases))


def _currents(anode: Anode, impacts: Array, time: Array, wires: int) -> Float[Array, "planes wires impacts ticks"]:
    """The currents at one relative phase of the planes."""
    field = solve_drift_field(anode)
    weighting = solve_weighting_field(anode, wires)
    tick = time[1] - time[0]

    def of_plane(plane: Array) -> Array:
        way = drift_paths(anode, field, (anode.phase[plane] + impacts) * anode.pitch[plane])
        weight = weighting.of_plane(plane, way.place)
        charge = weight.potential[0] - weight.potential
        current = -(weight.by_x * way.velocity.real[..., None] + weight.by_y * way.velocity.imag[..., None])

        def binned(charge: Array, current: Array, when: Array) -> Array:
            return current_in_ticks(charge, current, when, time[0], tick, len(time))

        return jax.vmap(binned, in_axes=1, out_axes=1)(charge, current, way.time)

    return jax.vmap(of_plane)(jnp.arange(len(anode.pitch)))


def _phase_sets(phases: int | Array, key: str, planes: int) -> Float[Array, "sets planes"]:
    """Relative phases in pitches: those given, or a lattice of so many."""
    if not isinstance(phases, int | np.integer):
        array = _floats(phases, key, None, rank=2)
        if array.shape[1] != planes:
            raise InputError(f"expected a number, or phases of shape (sets, {planes})", key=key, value=array.shape)
        return array
    return phase_lattice(whole_number(key, phases), planes)


def _floats(value: object, key: str, shape: tuple[int, ...] | None, rank: int = 1) -> Array:
    """`value` as float64 of `shape`, a single number standing for all; or of any shape of that rank."""
    try:
        array = jnp.asarray(value, dtype=float)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        raise InputError("must be numbers", key=key, value=value) from None
    if shape is None:
        if array.ndim != rank or array.size == 0:
            raise InputError(f"expected an array of rank {rank} that is not empty", key=key, value=value)
    elif array.shape not in ((), shape):
        raise InputError(
            f"expected {'one value per plane' if shape else 'a single number'}, got shape {array.shape}",
            key=key,
            value=value,
        )
    else:
        array = jnp.broadcast_to(array, shape)
    if not isinstance(array, Tracer) and not np.all(np.isfinite(np.asarray(array))):
        raise InputError("must be finite", key=key, value=value)
    return array


def _positive(value: object, key: str, shape: tuple[int, ...]) -> Array:
    array = _floats(value, key, shape)
    if not isinstance(array, Tracer) and not np.all(np.asarray(array) > 0):
        raise InputError("must be positive", key=key, value=np.asarray(array).tolist())
    return array


def _check_places(anode: Anode) -> None:
    """**Raises** `InputError` where planes are out of order or wires overlap, as far as values are concrete."""
    height, pitch, radius, start = (_concrete(x) for x in (anode.height, anode.pitch, anode.wire_radius, anode.start))
    if pitch is not None and radius is not None and np.any(2 * radius >= pitch):
        remedy = "the radius must be less than half the pitch"
        raise InputError("wires of a plane overlap", key="wire_radius", value=radius.tolist(), remedy=remedy)
    if height is not None:
        if height[-1] != 0 or np.any(np.diff(height) >= 0):
            raise InputError(
                "planes must come in the order electrons meet them",
                key="plane_positions",
                value=height.tolist(),
                remedy="give falling heights above the collection plane, the last one 0, for example (6, 3, 0)",
            )
        if radius is not None and np.any(-np.diff(height) <= radius[1:] + radius[:-1]):
            raise InputError("wires of neighbouring planes overlap", key="plane_positions", value=height.tolist())
        if start is not None and pitch is not None and start < height[0] + np.max(pitch):
            remedy = f"start at least a pitch above the first plane, at {height[0] + np.max(pitch):g} mm or more"
            raise InputError("electrons would start among the planes", key="start", value=float(start), remedy=remedy)
    if isinstance(anode.behind, Mesh) and radius is not None:
        distance = _concrete(jnp.asarray(anode.behind.distance))
        if distance is not None and distance <= radius[-1]:
            raise InputError("the mesh touches the wires", key="mesh_distance", value=float(distance))


def _checked_time(time: Array | None, anode: Anode) -> Float[Array, " ticks"]:
    ticks = jnp.arange(TICKS) * TICK if time is None else _floats(time, "time", None)
    if len(ticks) < 2:
        raise InputError("expected at least two ticks", key="time", value=time)
    concrete = _concrete(ticks)
    if concrete is None:
        return ticks
    step = np.diff(concrete)
    if step[0] <= 0 or not np.allclose(step, step[0], rtol=1e-6, atol=0.0):
        raise InputError(
            "ticks must follow each other evenly",
            key="time",
            value=time,
            remedy="in ns, for example jnp.arange(1200) * 100.0",
        )
    start, field, temperature = (_concrete(x) for x in (anode.start, anode.drift_field, anode.temperature))
    if start is not None and field is not None and temperature is not None:
        arrival = float(start / drift_velocity(float(field), float(temperature)))
        if arrival > concrete[-1]:
            remedy = f"let `time` go on to {1.1 * arrival / us:.0f} us, or start lower"
            raise InputError(
                f"the electrons arrive after {arrival / us:.0f} us, later than the last tick",
                key="time",
                value=float(concrete[-1]),
                remedy=remedy,
            )
    return ticks


def _concrete(value: Array) -> np.ndarray | None:
    return None if isinstance(value, Tracer) else np.asarray(value)
