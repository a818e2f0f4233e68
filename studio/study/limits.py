"""The constraints of an experiment, as `studio.design` takes them."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import InputError
from ..design import constraints
from ..design.constraints import AbstractConstraint, AtMost, Equal
from ..detector import Detector, Prices, cost
from ..units import m
from .config import Ball, Box, Budget, FixedVolume, KeepOut, Pipe, SensitiveArea, SensorCount
from .experiment_file import ExperimentFile


def constraint(file: ExperimentFile, index: int, baseline: Detector) -> AbstractConstraint:
    """The constraint number `index` of an experiment whose geometry is `baseline`.

    **Raises** `InputError` with its line where prices are missing.
    """
    term = file.experiment.constraints[index]
    match term:
        case Budget():
            return _budget(file, f"constraints.{index}", term, baseline)
        case SensitiveArea():
            area = float(face_area(baseline)) if isinstance(term.at_most, str) else term.at_most / m**2
            return AtMost(face_area, area, name=term.kind, unit="m2 of sensitive face")
        case FixedVolume():
            return Equal(_cubic_metres, float(_cubic_metres(baseline)), name=term.kind, unit="m3")
        case SensorCount():
            limit = float(standing(baseline)) if isinstance(term.at_most, str) else float(term.at_most)
            return AtMost(standing, limit, name=term.kind, unit="sensors")
        case KeepOut():
            return constraints.KeepOut(_faces, [_region(one) for one in term.regions], term.clearance, name=term.kind)
    return constraints.MinimumSpacing(_positions, term.at_least)


class _Millions(eqx.Module):
    """What a detector costs, in millions of the currency."""

    prices: Prices = eqx.field(static=True)

    def __call__(self, detector: Detector) -> jax.Array:
        return cost(detector, self.prices).total / 1e6


def _budget(file: ExperimentFile, key: str, term: Budget, baseline: Detector) -> AbstractConstraint:
    millions = _Millions(file.costs.prices)
    try:
        spent = float(millions(baseline))
    except InputError as error:
        raise file.error(key, error) from None
    return AtMost(
        millions,
        spent if isinstance(term.at_most, str) else term.at_most.amount / 1e6,
        "budget",
        f"M{file.costs.currency}",
    )


def _region(region: Ball | Pipe | Box) -> constraints.AbstractRegion:
    match region:
        case Ball():
            return constraints.BallRegion(region.centre, region.radius)
        case Pipe():
            return constraints.PipeRegion(region.through, region.along, region.radius)
    return constraints.BoxRegion(region.centre, region.size)


def standing(detector: Detector) -> jax.Array:
    """How many sensors there are: the sum of their weights."""
    return jnp.sum(detector.sensors.weight)


def face_area(detector: Detector) -> jax.Array:
    """The sensitive faces of all sensors together, in m², empty places left out."""
    return jnp.pi * jnp.sum(detector.sensors.weight * detector.sensors.radius**2) / m**2


def _cubic_metres(detector: Detector) -> jax.Array:
    return detector.volume.volume / m**3


def _positions(detector: Detector) -> jax.Array:
    return detector.placed.positions


def _faces(detector: Detector) -> constraints.Bodies:
    positions, normals, radii = detector.placed
    return constraints.Bodies(positions, radii, normals)
