"""The constraints of an experiment, as `studio.design` takes them."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import InputError
from ..design import constraints
from ..design.constraints import AbstractConstraint, AtLeast, AtMost, Equal
from ..detector import TPC, AbstractTPC, Detector, Prices, cost
from ..simulation.tpc import transparency
from ..units import kV, m
from .constraint_models import (
    ArgonMass,
    Ball,
    Box,
    Budget,
    CathodeVoltage,
    FixedVolume,
    KeepOut,
    Pipe,
    SensitiveArea,
    SensorCount,
    Transparency,
    WireCount,
)
from .experiment_file import ExperimentFile

Family = Detector | AbstractTPC


def constraint(file: ExperimentFile, index: int, baseline: Family) -> AbstractConstraint:
    """The constraint number `index` of an experiment whose geometry is `baseline`.

    **Raises** `InputError` with its line where prices are missing, and where the detector has not what is limited.
    """
    term, key = file.experiment.constraints[index], f"constraints.{index}"
    if isinstance(term, Transparency | CathodeVoltage | WireCount | ArgonMass):
        if not isinstance(baseline, TPC):
            raise file.document.error(key, "only a TPC with wires has that", value=term.kind, remedy="remove it")
        return _of_tpc(file, key, term, baseline)
    if not isinstance(baseline, Detector):
        raise file.document.error(
            key, "only a detector with photosensors has that", value=term.kind, remedy="remove it"
        )
    match term:
        case Budget():
            return _budget(file, key, term, baseline)
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


def _of_tpc(
    file: ExperimentFile, key: str, term: Transparency | CathodeVoltage | WireCount | ArgonMass, baseline: TPC
) -> AbstractConstraint:
    match term:
        case Transparency():
            if term.at_least >= 1:
                remedy = "write a little less, such as 99.9 %"
                raise file.document.error(f"{key}.at_least", "no design can be told from it", remedy=remedy)
            # What is lost, so that a violation of a thousandth is one of the loss.
            return AtMost(_lost, 1 - term.at_least, name=term.kind, unit="of the charge lost")
        case CathodeVoltage():
            limit = float(_kilovolts(baseline)) if isinstance(term.at_most, str) else term.at_most / kV
            return AtMost(_kilovolts, limit, name=term.kind, unit="kV")
        case WireCount():
            limit = float(_wires(baseline)) if isinstance(term.at_most, str) else float(term.at_most)
            return AtMost(_wires, limit, name=term.kind, unit="wires")
    least = float(_tonnes(baseline)) if isinstance(term.at_least, str) else term.at_least
    return AtLeast(_tonnes, least, name=term.kind, unit="t")


def _lost(detector: TPC) -> jax.Array:
    return 1 - transparency(detector)


def _kilovolts(detector: TPC) -> jax.Array:
    return jnp.max(detector.cathode_voltage) / kV


def _wires(detector: TPC) -> jax.Array:
    return detector.wire_count


def _tonnes(detector: TPC) -> jax.Array:
    return detector.argon_mass


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
