"""The Taylor test: a gradient is checked before it is trusted.

Along a direction d the remainder |f(x + h d) - f(x) - h g.d| of a right gradient falls as h^2; of a wrong one as h. Each
free leaf has a direction of its own, so a failure names the leaf.

Where the quadratic part cannot be read, because the second derivative vanishes along d, because higher orders cover it or
because it drowns in rounding, no slope proves anything: other directions are tried, and if they say no more, the gradient
is compared with central differences, extrapolated to h = 0 (Richardson 1911), within their own uncertainty.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .._checks import StudioError

Point = Mapping[str, np.ndarray]

#: A remainder counts only where it stands this far above the rounding of the objective: 3 % of error on it at most.
_ABOVE_FLOOR = 30.0
_RATIO = 10**-0.5
_DIRECTIONS = 3
#: Of a right gradient the odd part of the remainder is of third order, a small part of it where the slope is 2.
_ODD_PART = 0.2
#: A difference from central differences counts from so many of their uncertainties on, and they are of use below this
#: fraction of the derivative.
_UNCERTAINTIES, _RESOLVED = 3.0, 1e-2


@dataclasses.dataclass(frozen=True)
class DirectionCheck:
    """The Taylor test along one direction.

    - `leaf`: which leaf moved, or "all leaves".
    - `step_sizes`, `remainders`: natural units, and the objective's unit.
    - `slope`: of log remainder against log step over the smallest usable steps; None where fewer than three are usable.
    - `relative_error`: |central difference - g.d| / |g.d|, at the step that decided.
    - `passed`, `message`: the verdict and why.
    - `resolved`: whether this direction decided: its slope, or a derivative that central differences refute. Otherwise they meet it,
      or nothing could be seen.
    """

    leaf: str
    step_sizes: tuple[float, ...]
    remainders: tuple[float, ...]
    slope: float | None
    relative_error: float
    passed: bool
    message: str
    resolved: bool = True


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
    tolerance: float = 0.05,
    disturbance: float = 0.02,
) -> GradientCheck:
    """The Taylor test of `gradient` against `value`.

    **Arguments**

    - `value`, `gradient`: functions of a point, a dict `leaf -> array` in natural units.
    - `point`: around which the test is made; it is first moved by a random `disturbance` (natural units), because at a
      symmetric start a missing derivative and a vanishing one look alike.
    - `masks`: elements that may move (None: all).
    - `tolerance`: the slope must be 2 within it, or central differences decide.

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
    attempts = [directions, *(_directions(generator, point, masks) for _ in range(_DIRECTIONS - 1))]
    results = []
    for leaf in point if len(point) == 1 else directions:
        lines = (
            _Line(lambda step, d=drawn[leaf]: along(d, step), here, _rate(slopes, drawn[leaf]), floor)
            for drawn in attempts
        )
        results.append(_test(leaf, lines, tolerance))
    return _verdict(results, floor)


def _rate(gradient: Point, direction: Point) -> float:
    return float(sum(np.sum(np.asarray(gradient[name], float) * direction[name]) for name in direction))


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
    """The rounding of the objective: what a cubic through seven close points leaves over, or eight units in the last
    place. Single precision inside a double-precision objective shows here and nowhere else; the third order of an objective
    that bends within 1e-3 must not."""
    resolution = max(float(np.finfo(array.dtype).eps) for array in place.values())
    spacing = max(1e-5, 100 * resolution)
    counts = np.arange(1, 8)
    values = np.array([along(spacing * count) for count in counts]) - here
    if not np.all(np.isfinite(values)):
        return 8 * resolution * abs(here)
    left = values - np.polyval(np.polyfit(counts, values, 3), counts)
    return max(8 * resolution * abs(here), float(np.sqrt(np.sum(left**2) / 3)), 1e-300)


class _Line:
    """The objective along one direction, each step evaluated once: `here` at step 0, `rate` its derivative as claimed."""

    def __init__(self, along: Callable[[float], float], here: float, rate: float, floor: float):
        self.along, self.here, self.rate, self.floor = along, here, rate, floor
        self.changes: dict[float, float] = {}

    def change(self, step: float) -> float:
        """By how much the objective differs from `here`."""
        if step not in self.changes:
            self.changes[step] = self.along(step) - self.here
        return self.changes[step]

    def remainder(self, step: float) -> float:
        """What the derivative leaves unexplained, the Taylor remainder."""
        return abs(self.change(step) - step * self.rate)

    def readable(self, step: float) -> bool:
        """Whether the remainder is finite and well above the rounding."""
        return bool(np.isfinite(self.remainder(step))) and self.remainder(step) > _ABOVE_FLOOR * self.floor

    def excess(self, step: float) -> float:
        """The central difference minus the derivative."""
        return (self.change(step) - self.change(-step)) / (2 * step) - self.rate

    @property
    def steps(self) -> list[float]:
        """The steps taken forwards, smallest first."""
        return sorted(step for step in self.changes if step > 0)

    @property
    def usable(self) -> list[float]:
        """Those whose remainder is readable."""
        return [step for step in self.steps if self.readable(step)]

    @property
    def slope(self) -> float | None:
        """Of log remainder against log step over the three smallest usable steps, None where there are fewer."""
        steps = self.usable[:3]
        if len(steps) < 3:
            return None
        x, y = np.log(steps), np.log([self.remainder(step) for step in steps])
        # Over two steps the slope is nearer to its limit, over three it is less noisy; that of a wrong gradient is 1 in both.
        return min(
            float(np.polyfit(x, y, 1)[0]), float((y[1] - y[0]) / (x[1] - x[0])), key=lambda slope: abs(slope - 2)
        )


def _test(leaf: str, lines: Iterable[_Line], tolerance: float) -> DirectionCheck:
    """The verdict along the first line that decides, or else along the first one whose central differences meet the derivative."""
    undecided = []
    for line in lines:
        _walk(line, tolerance)
        result = _judge(leaf, line, tolerance)
        if result.resolved:
            return result
        undecided.append(result)
        # One along which nothing curves is straight along others too; elsewhere another direction may show more.
        if result.passed and result.slope is None:
            break
    return next((result for result in undecided if result.passed), undecided[-1])


def _walk(line: _Line, tolerance: float) -> None:
    """Steps around 1e-2, smaller while the remainder can be read and larger where it cannot."""
    step = 1e-2
    for count in range(12):
        if not line.readable(step) or (count >= 3 and _quadratic(line, tolerance)):
            break
        step *= _RATIO
    step = 1e-2 / _RATIO
    while len(line.usable) < 3 and step < 0.5:
        line.change(step)
        step /= _RATIO


def _quadratic(line: _Line, tolerance: float) -> bool:
    """Whether the remainder falls as h^2, and is even in h as a quadratic one is.

    The second condition costs one value more. It refuses a wrong derivative near the step where its error and the
    quadratic part cancel: there the remainder falls with any slope.
    """
    if line.slope is None or abs(line.slope - 2) > tolerance:
        return False
    step = line.usable[0]
    odd = abs(line.excess(step)) * step
    return bool(odd <= _ODD_PART * line.remainder(step) + _UNCERTAINTIES * line.floor)


def _judge(leaf: str, line: _Line, tolerance: float) -> DirectionCheck:
    def verdict(passed: bool, message: str, excess: float, resolved: bool = True) -> DirectionCheck:
        remainders = tuple(line.remainder(step) for step in line.steps)
        relative = abs(excess / line.rate) if line.rate else float("inf")
        return DirectionCheck(leaf, tuple(line.steps), remainders, line.slope, relative, passed, message, resolved)

    falls = "" if line.slope is None else f"the remainder falls as h^{line.slope:.2f}"
    if _quadratic(line, tolerance):
        return verdict(True, falls, line.excess(line.usable[0]))
    if max(line.steps) * abs(line.rate) < _ABOVE_FLOOR * line.floor and not line.usable:
        return verdict(True, "no response above the rounding: unchecked", float("nan"), resolved=False)
    excess, uncertainty = _central_difference(line)
    if not abs(excess) <= _UNCERTAINTIES * uncertainty:
        problem = (
            f"{falls}, not as h^2" if falls else f"central differences differ by {excess:.2g} from {line.rate:.6g}"
        )
        return verdict(False, problem, excess)
    if not _UNCERTAINTIES * uncertainty <= _RESOLVED * abs(line.rate):
        return verdict(False, "the remainder cannot be read above the rounding", excess, resolved=False)
    shape = falls or ("the remainder is hardly above the rounding" if line.usable else "linear within rounding")
    met = f"central differences meet the derivative to {abs(excess / line.rate):.1e}"
    return verdict(True, f"{shape}; {met}", excess, resolved=False)


def _central_difference(line: _Line) -> tuple[float, float]:
    """The central difference minus the derivative, extrapolated to step 0, and its uncertainty.

    Between two steps of ratio √10 the error of second order cancels; the uncertainty is the extrapolated part, or the
    distance to the result of smaller steps, and the rounding. The steps are those already taken, the best of them decides.
    """
    best, before = (float("nan"), float("inf")), None
    for small, large in zip(line.steps, line.steps[1:], strict=False):
        near, far = line.excess(small), line.excess(large)
        correction = (near - far) / ((large / small) ** 2 - 1)
        found = near + correction
        # At some step the extrapolated part vanishes by chance; that shows in what smaller steps gave.
        apart = 0.0 if before is None else abs(found - before)
        uncertainty, before = max(abs(correction), apart) + line.floor / small, found
        if np.isfinite(uncertainty) and uncertainty < best[1]:
            best = (found, uncertainty)
    return best


def _verdict(results: list[DirectionCheck], floor: float) -> GradientCheck:
    faulty = [result for result in results if not result.passed]
    named = [result for result in faulty if result.leaf != "all leaves"] or faulty
    if not faulty:
        slopes = [result.slope for result in results if result.slope is not None and result.resolved]
        shown = [f"slopes {min(slopes):.2f} to {max(slopes):.2f}"] if slopes else []
        shown += [f"{result.leaf}: {result.message}" for result in results if not result.resolved]
        message = f"the gradient is right along every direction ({'; '.join(shown)})"
        return GradientCheck(tuple(results), floor, True, message)
    listed = "; ".join(f"by {result.leaf}: {result.message}" for result in named)
    message = f"the gradient of the objective is wrong or the objective is not smooth: {listed}"
    return GradientCheck(tuple(results), floor, False, message)
