"""The Taylor test: a gradient is checked before it is trusted.

Along a direction d the remainder |f(x + h d) - f(x) - h g.d| of a right gradient falls as h^2; of a wrong one as h. Each
free leaf has a direction of its own, so a failure names the leaf.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .._checks import StudioError

Point = Mapping[str, np.ndarray]

#: A remainder counts only where it stands this far above the rounding of the objective: 3 % of error on it at most.
_ABOVE_FLOOR = 30.0
_RATIO = 10**-0.5


@dataclasses.dataclass(frozen=True)
class DirectionCheck:
    """The Taylor test along one direction.

    - `leaf`: which leaf moved, or "all leaves".
    - `step_sizes`, `remainders`: natural units, and the objective's unit.
    - `slope`: of log remainder against log step over the smallest usable steps; None where fewer than three are usable.
    - `relative_error`: the smallest |remainder / (h g.d)| seen; how well the predicted change was met.
    - `passed`, `message`: the verdict and why.
    """

    leaf: str
    step_sizes: tuple[float, ...]
    remainders: tuple[float, ...]
    slope: float | None
    relative_error: float
    passed: bool
    message: str


@dataclasses.dataclass(frozen=True)
class GradientCheck:
    """The Taylor test of an objective along several directions.

    - `directions`: one `DirectionCheck` each.
    - `floor`: the rounding of the objective, measured.
    - `passed`: whether all passed.
    - `message`: one sentence for a person.
    """

    directions: tuple[DirectionCheck, ...]
    floor: float
    passed: bool
    message: str

    @property
    def slopes(self) -> dict[str, float | None]:
        """The slope of each direction."""
        return {direction.leaf: direction.slope for direction in self.directions}

    @property
    def faulty_leaves(self) -> tuple[str, ...]:
        """The leaves whose derivative is wrong."""
        return tuple(direction.leaf for direction in self.directions if not direction.passed)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and text."""
        return dataclasses.asdict(self)

    def require(self) -> GradientCheck:
        """Itself where it passed. **Raises** `StudioError` naming the leaves whose derivative is wrong."""
        if not self.passed:
            raise StudioError(self.message)
        return self


def check_gradient(
    value: Callable[[Point], float],
    gradient: Callable[[Point], Point],
    point: Point,
    *,
    masks: Mapping[str, np.ndarray | None] | None = None,
    seed: int = 0,
    tolerance: float = 0.1,
    disturbance: float = 0.02,
) -> GradientCheck:
    """The Taylor test of `gradient` against `value`.

    **Arguments**

    - `value`, `gradient`: functions of a point, a dict `leaf -> array` in natural units.
    - `point`: around which the test is made; it is first moved by a random `disturbance` (natural units), because at a
      symmetric start a missing derivative and a vanishing one look alike.
    - `masks`: elements that may move (None: all).
    - `tolerance`: the slope must be at least 2 − `tolerance`. A larger one is right too: the second derivative may
      vanish along a direction.

    **Returns** a `GradientCheck`; a value or gradient that is not finite is a failed check that names the leaf.
    """
    generator = np.random.default_rng(seed)
    masks = masks or {}
    directions = _directions(generator, point, masks)
    everything = directions["all leaves"]
    place = _moved(point, disturbance, everything)
    for where in (point, place):
        trouble = _not_finite(value(where), gradient(where))
        if trouble:
            return trouble
    here, slopes = float(value(place)), gradient(place)

    def along(direction: Point, step: float) -> float:
        return float(value(_moved(place, step, direction)))

    floor = _rounding(here, place, lambda step: along(everything, step))
    tested = directions if len(point) > 1 else {next(iter(point)): everything}
    results = []
    for leaf, direction in tested.items():
        rate = float(sum(np.sum(np.asarray(slopes[name], float) * direction[name]) for name in place))
        results.append(_test(leaf, lambda step, d=direction: along(d, step), here, rate, floor, tolerance))
    return _verdict(results, floor)


def _moved(point: Point, step: float, direction: Point) -> dict[str, np.ndarray]:
    """A point moved along a direction, in its own precision."""
    return {name: np.asarray(array + step * direction[name], np.asarray(array).dtype) for name, array in point.items()}


def _directions(generator: np.random.Generator, point: Point, masks: Mapping[str, Any]) -> dict[str, Point]:
    everything = {}
    for name, array in point.items():
        drawn = generator.standard_normal(np.shape(array))
        mask = masks.get(name)
        everything[name] = drawn if mask is None else np.where(mask, drawn, 0.0)
    single = {
        leaf: {name: array if name == leaf else np.zeros_like(array) for name, array in everything.items()}
        for leaf in point
    }
    return {**single, "all leaves": everything}


def _not_finite(value: float, gradient: Point) -> GradientCheck | None:
    faulty = [name for name, array in gradient.items() if not np.all(np.isfinite(array))]
    if np.isfinite(value) and not faulty:
        return None
    counts = [
        f"{name} ({int(np.sum(~np.isfinite(gradient[name])))} of {np.size(gradient[name])} elements)" for name in faulty
    ]
    subject = "" if np.isfinite(value) else f"the objective is {value}; "
    message = (
        f"{subject}the derivative is not finite by " + ", ".join(counts) if faulty else f"the objective is {value}"
    )
    leaves = faulty or ["objective"]
    rows = tuple(DirectionCheck(leaf, (), (), None, float("nan"), False, "not finite") for leaf in leaves)
    return GradientCheck(rows, float("nan"), False, message)


def _rounding(here: float, place: Point, along: Callable[[float], float]) -> float:
    """The rounding of the objective: what a parabola through six close points leaves over, or eight units in the last
    place. Single precision inside a double-precision objective shows here and nowhere else."""
    resolution = max(float(np.finfo(array.dtype).eps) for array in place.values())
    spacing = max(1e-5, 100 * resolution)
    steps = spacing * np.arange(1, 7)
    values = np.array([along(step) for step in steps]) - here
    if not np.all(np.isfinite(values)):
        return 8 * resolution * abs(here)
    left = values - np.polyval(np.polyfit(steps, values, 2), steps)
    return max(8 * resolution * abs(here), float(np.sqrt(np.sum(left**2) / 3)), 1e-300)


def _test(
    leaf: str, along: Callable[[float], float], here: float, rate: float, floor: float, tolerance: float
) -> DirectionCheck:
    """Steps around 1e-2, smaller while the remainder can be read and larger where it cannot."""
    remainders: dict[float, float] = {}

    def measure(step: float) -> bool:
        remainders[step] = abs(along(step) - here - step * rate)
        return bool(np.isfinite(remainders[step])) and remainders[step] > _ABOVE_FLOOR * floor

    step, readable = 1e-2, True
    for count in range(12):
        readable = measure(step)
        if not readable or (count >= 3 and _passes(remainders, floor, tolerance)):
            break
        step *= _RATIO
    step = 1e-2 / _RATIO
    while len(_usable(remainders, floor)) < 3 and step < 0.5:
        measure(step)
        step /= _RATIO
    return _judge(leaf, remainders, rate, floor, tolerance)


def _usable(remainders: Mapping[float, float], floor: float) -> list[float]:
    good = [step for step, r in remainders.items() if np.isfinite(r) and r > _ABOVE_FLOOR * floor]
    return sorted(good)


def _slope(remainders: Mapping[float, float], floor: float) -> float | None:
    steps = _usable(remainders, floor)[:3]
    if len(steps) < 3:
        return None
    x, y = np.log(steps), np.log([remainders[step] for step in steps])
    # Over two steps the slope is nearer to its limit, over three it is less noisy; that of a wrong gradient is 1 in both.
    return max(float(np.polyfit(x, y, 1)[0]), float((y[1] - y[0]) / (x[1] - x[0])))


def _passes(remainders: Mapping[float, float], floor: float, tolerance: float) -> bool:
    slope = _slope(remainders, floor)
    return slope is not None and slope >= 2 - tolerance


def _judge(leaf: str, remainders: Mapping[float, float], rate: float, floor: float, tolerance: float) -> DirectionCheck:
    steps = tuple(sorted(remainders))
    values = tuple(remainders[step] for step in steps)
    predicted = [abs(step * rate) for step in steps]
    ratios = [r / p if p > 0 else np.inf for r, p in zip(values, predicted, strict=True) if np.isfinite(r)]
    relative = float(min(ratios, default=np.inf))
    slope = _slope(remainders, floor)
    if slope is None and max(predicted) < _ABOVE_FLOOR * floor and not _usable(remainders, floor):
        passed, message = True, "no response above the rounding: unchecked"
    elif slope is None:
        # Too few remainders stand above the rounding for a slope; how well the change was predicted must do.
        linear = not _usable(remainders, floor)
        passed = linear or relative < 1e-2
        met = "linear within rounding" if linear else f"the predicted change is met to {relative:.1e}, within rounding"
        message = met if passed else "the remainder cannot be read above the rounding"
    else:
        passed = slope >= 2 - tolerance
        message = f"the remainder falls as h^{slope:.2f}" + ("" if passed else ", not as h^2")
    return DirectionCheck(leaf, steps, values, slope, relative, passed, message)


def _verdict(results: list[DirectionCheck], floor: float) -> GradientCheck:
    faulty = [result for result in results if not result.passed]
    named = [result for result in faulty if result.leaf != "all leaves"] or faulty
    if not faulty:
        slopes = [result.slope for result in results if result.slope is not None]
        shown = f"slopes {min(slopes):.2f} to {max(slopes):.2f}" if slopes else "linear within rounding"
        return GradientCheck(tuple(results), floor, True, f"the gradient is right along every direction ({shown})")
    listed = "; ".join(f"by {result.leaf}: {result.message}" for result in named)
    message = f"the gradient of the objective is wrong or the objective is not smooth: {listed}"
    return GradientCheck(tuple(results), floor, False, message)
