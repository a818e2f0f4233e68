"""First-order optimisers of the optax family, kept feasible at every step."""

from __future__ import annotations

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..._checks import InputError, choice_remedy, whole_number
from ..problem import Iterate, Problem, finite
from ..space import retracted
from ..together import Asking, Request
from ..tracing import traced
from .base import AbstractOptimiser, Advance
from .batches import Batches, average

_SECOND_MOMENT = ("adam", "adamw", "nadam", "amsgrad", "adabelief", "radam", "yogi")
_FAMILY = ("adam", "adamw", "nadam", "amsgrad", "adabelief", "rmsprop", "sgd", "lion", "yogi", "radam")

#: The first step is disturbed by this fraction of the learning rate.
_DISTURBANCE = 0.1

#: After so many halvings of the step an objective that is not finite is given up.
_HALVINGS = 12


class FirstOrder(AbstractOptimiser):
    """An optax transformation on the gradient along the constraints, followed by feasibility restoration.

    The gradient is first projected: whatever would break a constraint within one step is taken out of it, and the
    multipliers come with the projection. Then the flattening of bounds near their edges is taken out. Every evaluated design satisfies the constraints, so no simulation is spent
    on a design that could not be reported; the fixed points are those of the constrained problem whatever the
    transformation does to each coordinate.

    **Arguments**

    - `transformation`: what turns gradients into moves in natural units; `first_order` makes one by name.
    - `learning_rate`: the typical move per step, in natural units: constraints within its reach are looked at.
    - `grow`: where every step has its own events, a step may average up to so many batches of them once noise drowns the
      gradient; see `Batches`.
    """

    transformation: optax.GradientTransformation
    learning_rate: float = 0.01
    grow: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        whole_number("optimiser.grow", self.grow)

    def initial(self, problem: Problem, coordinates: dict[str, Any]) -> Any:
        return {
            "optax": jax.device_get(self.transformation.init(dict(coordinates))),
            "count": np.asarray(0),
            "batches": Batches.of(coordinates, problem.deterministic),
        }

    def initial_penalty(self) -> float:
        return 1.0

    def advance(self, problem: Problem, iterate: Iterate, step: int) -> Asking[Advance]:
        gradient, multipliers = self._along_constraints(problem, iterate)
        known, count, before = (iterate.optimiser[key] for key in ("optax", "count", "batches"))
        moved_by = _update(self.transformation, problem.space, gradient, known, iterate.coordinates)
        moves, known = jax.device_get(moved_by)
        batches, signal_to_noise = before.after(gradient, self.grow)
        memory = {"optax": known, "count": np.asarray(count + 1)}
        moved = {name: iterate.coordinates[name] + iterate.step_scale * moves[name] for name in moves}
        if int(count) == 0:
            # A start may be stationary by symmetry, as points on a plane are: no gradient ever leads out of it.
            moved = problem.space.disturbed(moved, _DISTURBANCE * self.learning_rate, 0)
        trial = retracted(problem.space, moved, iterate.coordinates)
        restored = problem.restore(trial, iterate.constraint_scales)
        here = dict(restored.coordinates)
        evaluation = average((yield [Request(here, number) for number in batches.numbers(step)]))
        if not finite(evaluation):
            # The same gradient is followed once more, and must not be counted twice.
            return self._halved(iterate, memory | {"batches": before.used(batches)})
        renewed = eqx.tree_at(lambda i: i.multipliers, iterate, multipliers)
        after = Iterate(
            coordinates=here,
            evaluation=evaluation,
            multipliers=problem.transferred(renewed, restored.prepared),
            prepared=restored.prepared,
            penalty=iterate.penalty,
            objective_scale=iterate.objective_scale,
            constraint_scales=iterate.constraint_scales,
            step_scale=np.minimum(1.0, iterate.step_scale * 1.5),
            optimiser=memory | {"batches": batches.used(batches)},
        )
        length = max(float(np.max(np.abs(here[name] - iterate.coordinates[name]))) for name in here)
        now, grown = int(batches.count), int(batches.count) > max(1, int(before.count))
        note = f"noise drowns the gradient: {now} batches a step from here on" if grown else ""
        return Advance(after, False, True, "", "", length, note, batches=now, signal_to_noise=signal_to_noise)

    def _along_constraints(self, problem: Problem, iterate: Iterate) -> tuple[dict[str, Any], tuple[Any, ...]]:
        """The scaled gradient without what breaks constraints, and the multipliers."""
        gradient = problem.gradient(iterate.coordinates, iterate.evaluation)
        gradient = {name: array / float(iterate.objective_scale) for name, array in gradient.items()}
        if not problem.constraints:
            return gradient, ()
        largest = max(float(np.max(np.abs(array))) for array in gradient.values())
        reach = self.learning_rate / largest if largest > 0 else 1.0
        wanted = {name: -reach * array for name, array in gradient.items()}
        start = [reach * multiplier for multiplier in iterate.multipliers]
        found = problem.project(iterate, wanted, start)
        projected = {name: -array / reach for name, array in found.move.items()}
        return projected, tuple(multiplier / reach for multiplier in found.multipliers)

    def _halved(self, iterate: Iterate, memory: Any) -> Advance:
        scale = iterate.step_scale / 2
        failed = "the objective stays not finite, however short the step" if scale < 0.5**_HALVINGS else ""
        smaller = eqx.tree_at(lambda i: (i.step_scale, i.optimiser), iterate, (scale, memory))
        batches = max(1, int(memory["batches"].count))
        return Advance(smaller, False, False, "", failed, 0.0, "not finite: step halved, design kept", batches=batches)


@eqx.filter_jit
def _update(transformation, space, gradient, memory, coordinates):
    traced("optimiser_update")
    gradient = jax.tree.map(lambda g, c: jnp.asarray(g, jnp.asarray(c).dtype), gradient, coordinates)
    gradient = space.steepen(coordinates, gradient)
    return transformation.update(gradient, memory, coordinates)


@functools.cache
def _first_order(name: str, learning_rate: float, steps: int, decay: bool, grow: int, options: tuple) -> FirstOrder:
    # One object for one description: an optax transformation is made of closures, and others would be compiled anew.
    half = steps // 2
    cosine = optax.cosine_decay_schedule(learning_rate, max(steps - half, 1), alpha=0.01)
    schedule = (
        optax.join_schedules([optax.constant_schedule(learning_rate), cosine], [half]) if decay else learning_rate
    )
    return FirstOrder(getattr(optax, name)(schedule, **dict(options)), learning_rate, grow)


def first_order(
    name: str = "adam",
    learning_rate: float = 0.02,
    steps: int = 200,
    decay: bool = True,
    grow: int = 1,
    **options: Any,
) -> FirstOrder:
    """A first-order optimiser of optax by name.

    **Arguments**

    - `learning_rate`: in natural units per step: 0.01 moves a sensor by about one percent of the tank's half-size.
    - `steps`: the length of the run; with `decay` the rate stays constant for the first half and then falls to one
      hundredth along a cosine, so that the end settles.
    - `grow`: up to how many batches of events a step may average; see `FirstOrder`.
    - `options`: further arguments of the optax optimiser. Where it has a `b2`, the default here is 0.95: runs are a few
      hundred steps, and near a bound gradients fall by decades, which optax's memory of a thousand steps cannot follow.

    **Raises** `InputError` for an unknown name or option, a learning rate that is not positive, or a `grow` below one.
    """
    if name not in _FAMILY:
        raise InputError(
            "no such optimiser", key="optimiser", value=name, remedy=choice_remedy(name, (*_FAMILY, "lbfgs"))
        )
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise InputError("must be positive", key="optimiser.learning_rate", value=learning_rate)
    if name in _SECOND_MOMENT:
        options = {"b2": 0.95, **options}
    try:
        return _first_order(name, float(learning_rate), int(steps), decay, grow, tuple(sorted(options.items())))
    except TypeError as error:
        raise InputError(f"the optimiser {name} refuses its options: {error}", key="optimiser", value=options) from None
