"""The space of designs: which leaves of a tree are free, what they may become, and their natural units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike
from scipy.stats import qmc

from .. import paths
from .._arrays import as_floating
from .._checks import InputError, choice_remedy
from .tracing import traced
from .transforms import AbstractBound, Angle, Interval, Positive, Simplex, Tied, Unbounded, UnitVector, check_start

_NAMED_BOUNDS = {"unbounded": Unbounded, "positive": Positive, "angle": Angle, "unit_vector": UnitVector}
_NAMED_BOUNDS |= {"simplex": Simplex}

#: More dimensions than this have no Sobol numbers in scipy.
_SOBOL_DIMENSIONS = 21201


class Free(eqx.Module):
    """How one leaf is free.

    **Arguments**

    - `bound`: what the leaf may become (default: any number).
    - `scale`: the natural unit, in units of what the bound moves (default: the bound's own).
    - `where`: a mask of the leaf's shape, or one that broadcasts to it; elements where it is false are held.
    """

    bound: AbstractBound = eqx.field(default_factory=Unbounded)
    scale: float | np.ndarray | None = None
    where: np.ndarray | None = None


class Follows(eqx.Module):
    """A leaf that another one decides: `factor` times the leaf at `path`, plus `offset`, as planes that share one pitch.

    Both are named as free; the other one must be free by itself and of the same shape. **Raises** `InputError` for numbers
    that are not finite.
    """

    path: str = eqx.field(static=True)
    factor: float = 1.0
    offset: float = 0.0

    def describe(self) -> str:
        """What is allowed, in words."""
        shift = f" {self.offset:+g}" if self.offset else ""
        return f"{self.factor:g} times {self.path}{shift}" if self.factor != 1 or shift else f"as {self.path}"

    def __check_init__(self):
        if not (np.isfinite(self.factor) and self.factor and np.isfinite(self.offset)):
            value = [self.factor, self.offset]
            raise InputError("a tie needs a finite factor, not zero, and a finite offset", key=self.path, value=value)


def as_free(description: Any, key: str) -> Free:
    """A `Free` from what users write: a `Free`, a bound, `None`, a name such as `"positive"`, or `(lower, upper)`.

    **Raises** `InputError` for anything else.
    """
    if isinstance(description, Free):
        return description
    if isinstance(description, AbstractBound):
        return Free(description)
    if description is None or (isinstance(description, Mapping) and not description):
        return Free()
    if isinstance(description, str):
        if description not in _NAMED_BOUNDS:
            raise InputError(
                "no such bound", key=key, value=description, remedy=choice_remedy(description, _NAMED_BOUNDS)
            )
        return Free(_NAMED_BOUNDS[description]())
    if isinstance(description, Mapping) and set(description) == {"between"}:
        description = description["between"]
    if isinstance(description, list | tuple | np.ndarray) and len(description) == 2:
        try:
            return Free(Interval(*description))
        except InputError as error:
            raise InputError(error.problem, key=key, value=error.value, remedy=error.remedy) from None
    remedy = "give a bound of studio.design, a pair (lower, upper), or one of: " + ", ".join(_NAMED_BOUNDS)
    raise InputError("not a bound", key=key, value=description, remedy=remedy)


class DesignSpace(eqx.Module):
    """The free leaves of a tree, seen as unconstrained coordinates in natural units.

    `names` are the paths of all leaves that move, `leaders` of those that do so by themselves, in order; the others follow
    one of them. Coordinates are a dict from a leader's path to an array, of the leaf's own shape unless its rows are tied.
    Build one with `DesignSpace.of(tree, free)`.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    leaders: tuple[str, ...] = eqx.field(static=True)
    followers: dict[str, Follows]
    bounds: tuple[AbstractBound, ...]
    units: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray | None, ...]
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    @classmethod
    def of(cls, tree: Any, free: str | Iterable[str] | Mapping[str, Any]) -> DesignSpace:
        """The space around `tree` in which the leaves named by `free` may move.

        **Arguments**: `free` is an iterable of path names, or a mapping from names to bounds, `Free` or `Follows`.

        **Raises** `InputError` for a path that does not exist, is named twice or holds no real numbers, for a start
        outside its bound, and for a leaf that follows none that is free by itself.
        """
        named = {free: None} if isinstance(free, str) else free
        items = list(named.items()) if isinstance(named, Mapping) else [(name, None) for name in named]
        if not items:
            raise InputError("nothing is free", key="free", remedy="name at least one path of the tree")
        names = tuple(name for name, _ in items)
        for name in names:
            if names.count(name) > 1:
                raise InputError("named twice", key=name, remedy="name every free path once")
        followers = {name: tie for name, tie in items if isinstance(tie, Follows)}
        frees = {name: as_free(description, name) for name, description in items if name not in followers}
        starts = {name: _real_leaf(tree, name) for name in names}
        _check_followers(followers, starts)
        for name, description in frees.items():
            check_start(description.bound, starts[name], name)
        return cls(
            names=names,
            leaders=tuple(frees),
            followers=followers,
            bounds=tuple(free.bound for free in frees.values()),
            units=tuple(_unit(free, starts[name], name) for name, free in frees.items()),
            masks=tuple(_mask(free, starts[name], name) for name, free in frees.items()),
            shapes=tuple(starts[name].shape for name in frees),
        )

    @property
    def size(self) -> int:
        """The number of free numbers: those of an array of vectors count one by one, those that are tied do not."""
        counts = [
            bound.count(shape) if mask is None else int(np.sum(mask))
            for bound, shape, mask in zip(self.bounds, self.shapes, self.masks, strict=True)
        ]
        return sum(counts)

    def pack(self, tree: Any) -> dict[str, Array]:
        """The coordinates of the design in `tree`."""
        return self.coordinates({name: paths.get(tree, name) for name in self.leaders})

    def coordinates(self, leaves: Mapping[str, ArrayLike]) -> dict[str, Array]:
        """The coordinates of given values of the free leaves."""
        result = {}
        for name, bound, unit, _ in self._rows():
            values = bound.inverse(as_floating(leaves[name]))
            result[name] = values / jnp.asarray(unit, values.dtype)
        return result

    def leaves(self, coordinates: Mapping[str, ArrayLike]) -> dict[str, Array]:
        """The values of the free leaves at given coordinates; differentiable, held elements with derivative zero."""
        result = {}
        for name, bound, unit, mask in self._rows():
            value = jnp.asarray(coordinates[name])
            if mask is not None:
                value = jnp.where(mask, value, jax.lax.stop_gradient(value))
            result[name] = bound.forward(value * jnp.asarray(unit, value.dtype))
        for name, tie in self.followers.items():
            result[name] = tie.factor * result[tie.path] + tie.offset
        return result

    def unpack(self, tree: Any, coordinates: Mapping[str, ArrayLike]) -> Any:
        """`tree` with its free leaves at given coordinates."""
        return paths.replace(tree, self.leaves(coordinates))

    def pull_back(self, coordinates: Mapping[str, ArrayLike], gradient: Mapping[str, ArrayLike]) -> dict[str, Array]:
        """The gradient by coordinates that belongs to a gradient by the leaves' values."""
        leaves, pull = jax.vjp(self.leaves, dict(coordinates))
        return pull({name: jnp.asarray(gradient[name], dtype=leaves[name].dtype) for name in self.names})[0]

    def retract(self, coordinates: Mapping[str, ArrayLike]) -> dict[str, Array]:
        """The same design at coordinates in good condition."""
        result = {}
        for name, bound, unit, _ in self._rows():
            value = jnp.asarray(coordinates[name])
            scale = jnp.asarray(unit, value.dtype)
            result[name] = bound.retract(value * scale) / scale
        return result

    def steepen(self, coordinates: Mapping[str, ArrayLike], gradient: Mapping[str, ArrayLike]) -> dict[str, Array]:
        """A gradient by coordinates without the flattening of bounds near their edges; see `AbstractBound.steepen`."""
        result = {}
        for name, bound, unit, _ in self._rows():
            value = jnp.asarray(coordinates[name])
            result[name] = bound.steepen(value * jnp.asarray(unit, value.dtype), jnp.asarray(gradient[name]))
        return result

    def disturbed(
        self, coordinates: Mapping[str, np.ndarray], size: float, seed: int | tuple[int, ...]
    ) -> dict[str, np.ndarray]:
        """Coordinates with a fixed Gaussian disturbance of `size` natural units; held elements stay."""
        generator = np.random.default_rng(seed)
        moved = {}
        for name, _, _, mask in self._rows():
            array = np.asarray(coordinates[name])
            noise = size * generator.standard_normal(array.shape)
            moved[name] = np.asarray(array + (noise if mask is None else np.where(mask, noise, 0.0)), array.dtype)
        return moved

    def excess(self, leaves: Mapping[str, ArrayLike]) -> dict[str, float]:
        """How far the worst element of every leader lies outside its bound; zero or negative where all are allowed."""
        worst = {name: np.asarray(bound.excess(np.asarray(leaves[name]))) for name, bound, _, _ in self._rows()}
        return {name: float(np.max(value)) if value.size else -np.inf for name, value in worst.items()}

    def start(self, tree: Any, seed: int, index: int) -> dict[str, Array]:
        """The coordinates of start number `index`: 0 is the tree itself, others are quasi-random over the bounds.

        Sobol points scrambled by `seed` (scipy.stats.qmc); plain random numbers above 21,201 dimensions.
        """
        if index == 0:
            return self.pack(tree)
        total = sum(int(np.prod(shape)) for shape in self.shapes)
        uniform = np.clip(_unit_cube_point(total, seed, index), 1e-6, 1 - 1e-6)
        leaves, position = {}, 0
        for (name, bound, _, mask), shape in zip(self._rows(), self.shapes, strict=True):
            count = int(np.prod(shape))
            here = np.asarray(paths.get(tree, name), dtype=float)
            sampled = bound.sample(uniform[position : position + count].reshape(shape), here)
            leaves[name] = sampled if mask is None else np.where(mask, sampled, here)
            position += count
        return self.coordinates(
            {name: jnp.asarray(leaves[name], as_floating(paths.get(tree, name)).dtype) for name in leaves}
        )

    def _rows(self):
        return zip(self.leaders, self.bounds, self.units, self.masks, strict=True)


@eqx.filter_jit
def design_at(space: DesignSpace, tree: Any, coordinates: Mapping[str, ArrayLike]) -> Any:
    """`space.unpack`, compiled."""
    traced("design_at")
    return space.unpack(tree, coordinates)


@eqx.filter_jit
def _coordinates_of(space: DesignSpace, leaves: Mapping[str, ArrayLike]) -> dict[str, Array]:
    traced("coordinates_of")
    return space.coordinates(leaves)


def coordinates_of(space: DesignSpace, tree: Any) -> dict[str, np.ndarray]:
    """`space.pack`, compiled, on the host."""
    return jax.device_get(_coordinates_of(space, {name: as_floating(paths.get(tree, name)) for name in space.leaders}))


@eqx.filter_jit
def leaves_at(space: DesignSpace, coordinates: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """`space.leaves`, compiled."""
    traced("leaves_at")
    return space.leaves(coordinates)


@eqx.filter_jit
def gradient_at(
    space: DesignSpace, coordinates: Mapping[str, ArrayLike], gradient: Mapping[str, ArrayLike]
) -> dict[str, Array]:
    """`space.pull_back`, compiled."""
    traced("gradient_at")
    return space.pull_back(coordinates, gradient)


@eqx.filter_jit
def _retracted(space: DesignSpace, coordinates: Mapping[str, ArrayLike]) -> dict[str, Array]:
    traced("retracted")
    return space.retract(coordinates)


def retracted(
    space: DesignSpace, coordinates: Mapping[str, np.ndarray], like: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """`space.retract`, compiled, on the host, in the precision of `like`."""
    found = jax.device_get(_retracted(space, dict(coordinates)))
    return {name: np.asarray(array, like[name].dtype) for name, array in found.items()}


def _unit_cube_point(dimensions: int, seed: int, index: int) -> np.ndarray:
    if dimensions > _SOBOL_DIMENSIONS:
        return np.random.default_rng([seed, index]).random(dimensions)
    count = max(2, 1 << (index - 1).bit_length() if index > 1 else 2)
    return qmc.Sobol(dimensions, scramble=True, rng=seed).random(count)[index - 1]


def _real_leaf(tree: Any, name: str) -> np.ndarray:
    value = paths.get(tree, name)
    array = np.asarray(value) if hasattr(value, "dtype") or isinstance(value, int | float) else None
    real = array is not None and np.issubdtype(array.dtype, np.floating)
    if array is None or not (real or isinstance(value, int | float)) or isinstance(value, bool):
        raise InputError(
            "a free leaf must hold real numbers",
            key=name,
            value=type(value).__name__ if array is None else str(array.dtype),
            remedy="free a leaf of floating-point numbers; counts, patches and kinds cannot move",
        )
    if array.size == 0:
        raise InputError("a free leaf must not be empty", key=name, remedy="free a leaf that holds numbers")
    return array.astype(float)


def _check_followers(followers: Mapping[str, Follows], starts: Mapping[str, np.ndarray]) -> None:
    for name, tie in followers.items():
        if tie.path not in starts or tie.path in followers:
            leaders = [leader for leader in starts if leader not in followers]
            remedy = f"name it as free, with a bound of its own; {choice_remedy(tie.path, leaders)}"
            raise InputError("follows a leaf that is not free by itself", key=name, value=tie.path, remedy=remedy)
        there, here = starts[tie.path], starts[name]
        if there.shape != here.shape:
            problem = f"shape {here.shape}, but {tie.path}, which it follows, has shape {there.shape}"
            raise InputError(problem, key=name, remedy="tie leaves of the same shape")
        expected = tie.factor * there + tie.offset
        if not np.allclose(here, expected, rtol=1e-6, atol=0.0):
            problem = f"starts where the tie to {tie.path} does not put it"
            remedy = f"start it at {expected.ravel()[0]:g}, or change the factor or the offset"
            raise InputError(problem, key=name, value=float(here.ravel()[0]), remedy=remedy)


def _unit(free: Free, start: np.ndarray, name: str) -> np.ndarray:
    unit = np.asarray(free.bound.natural_unit(start) if free.scale is None else free.scale, dtype=float)
    if not (np.all(np.isfinite(unit)) and np.all(unit > 0)):
        raise InputError("a natural unit must be positive", key=name, value=free.scale, remedy="give a positive scale")
    return unit


def _mask(free: Free, start: np.ndarray, name: str) -> np.ndarray | None:
    if free.where is None:
        return None
    if isinstance(free.bound, Tied):
        raise InputError("rows that are tied cannot be held", key=name, remedy="leave `where` out, or tie fewer rows")
    mask = np.asarray(free.where, dtype=bool)
    try:
        return np.broadcast_to(mask, start.shape)
    except ValueError:
        problem = f"a mask of shape {mask.shape} on a leaf of shape {start.shape}"
        raise InputError(problem, key=name, remedy="give a mask that broadcasts to the leaf's shape") from None
