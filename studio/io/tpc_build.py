"""From a validated geometry file to a liquid-argon chamber."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._checks import InputError
from ..detector import (
    TPC,
    ColdElectronics,
    DriftVolumes,
    GridSpaceCharge,
    JoinedWires,
    PixelElectronics,
    PixelPlane,
    PixelTPC,
    WirePlane,
    pixel_slots_for,
    slots_for,
)
from ..medium import LiquidArgon
from ..medium.recombination import AbstractRecombination, Birks, EllipsoidModifiedBox, ModifiedBox
from .document import Document
from .tpc_models import (
    DriftModel,
    FieldBehindModel,
    GridSpaceChargeModel,
    LiquidArgonModel,
    PixelPlaneModel,
    TPCModel,
    WirePlaneModel,
)

RECOMBINATIONS: dict[str, type[AbstractRecombination]] = {
    "birks": Birks,
    "modified_box": ModifiedBox,
    "ellipsoid_modified_box": EllipsoidModifiedBox,
}
"""The laws by the names that files give them."""


def build_tpc(document: Document, model: TPCModel) -> TPC | PixelTPC:
    """The chamber a validated file describes. **Raises** `InputError` at the line of what is wrong."""
    volumes = _at(document, "drift", lambda: _volumes(model.drift))
    if model.pixels is not None:
        return _with_pixels(document, model, model.pixels, volumes)
    planes = tuple(
        _at(document, f"planes.{index}", lambda entry=entry: _plane(entry, volumes))
        for index, entry in enumerate(model.planes or ())
    )
    electronics = {} if model.electronics is None else _given(model.electronics)
    return _at(
        document,
        "",
        lambda: TPC(
            volumes,
            _medium(model.medium),
            planes,
            ColdElectronics(**electronics),
            **_behind(model),
            space_charge=None if model.space_charge is None else _space_charge(model.space_charge),
            name=model.name or Path(document.file).stem,
        ),
    )


def _with_pixels(document: Document, model: TPCModel, entry: PixelPlaneModel, volumes: DriftVolumes) -> PixelTPC:
    electronics = {} if model.electronics is None else _given(model.electronics)
    widest = np.max(np.asarray(volumes.widths), axis=0)
    room = pixel_slots_for(entry.room, (float(widest[0]), float(widest[1])))
    slots = room if entry.slots is None else (entry.slots[0], entry.slots[1])
    pixels = _at(document, "pixels", lambda: PixelPlane(entry.pitch, entry.pad, slots=slots))
    space_charge = None if model.space_charge is None else _space_charge(model.space_charge)
    name = model.name or Path(document.file).stem
    return _at(
        document,
        "",
        lambda: PixelTPC(volumes, _medium(model.medium), pixels, PixelElectronics(**electronics), space_charge, name),
    )


def _at(document: Document, within: str, make: Any) -> Any:
    """What `make` makes; its errors get the place in the file that they are about."""
    try:
        return make()
    except InputError as error:
        key = ".".join(part for part in (within, error.key or "") if part)
        raise document.error(key, error.problem, value=error.value, remedy=error.remedy) from None


def _given(model: Any, *without: str) -> dict[str, Any]:
    return model.model_dump(exclude={"kind", *without}, exclude_none=True)


def _medium(model: LiquidArgonModel) -> LiquidArgon:
    law = model.recombination
    made = None if law is None else RECOMBINATIONS[law.kind](**_given(law))
    return LiquidArgon(recombination=made, **_given(model, "recombination"))


def _volumes(model: DriftModel) -> DriftVolumes:
    entries = model.volumes
    places = np.zeros((1, 3)) if model.modules is None else np.array(model.modules.places())
    anode = places[:, None] + np.array([one.anode for one in entries])
    directions, across = (
        np.tile([getattr(one, name) for one in entries], (len(places), 1)) for name in ("direction", "across")
    )

    def number(name: str) -> Any:
        """One number for all where no volume has its own."""
        if all(getattr(one, name) is None for one in entries):
            return getattr(model, name)
        own = [getattr(one, name) or getattr(model, name) for one in entries]
        return np.tile(own, (len(places), *[1] * (np.ndim(own) - 1)))

    made = DriftVolumes(
        anode.reshape(-1, 3), directions, across, number("length"), jnp.asarray(number("width")), number("field")
    )
    exact = (_as_written(made.direction, directions), _as_written(made.across, across))
    return eqx.tree_at(lambda tree: (tree.direction, tree.across), made, exact)


def _as_written(made: Any, written: np.ndarray) -> Any:
    """Unit vectors as they were written, where normalising changed their last digits only: so that files reload bit for bit."""
    given = jnp.asarray(written, made.dtype)
    same = jnp.max(jnp.abs(made - given), axis=-1, keepdims=True) <= 8 * jnp.finfo(made.dtype).eps
    return jnp.where(same, given, made)


def _plane(model: WirePlaneModel, volumes: DriftVolumes) -> WirePlane:
    slots = model.wires or max(slots_for(model.room, model.angle, tuple(width)) for width in np.asarray(volumes.widths))
    radius = {} if model.wire_diameter is None else {"wire_radius": 0.5 * model.wire_diameter}
    joined = None if model.joined is None else JoinedWires(**model.joined.model_dump())
    return WirePlane(
        model.pitch,
        model.angle,
        model.height,
        model.bias,
        **radius,
        offset=model.offset,
        slots=slots,
        joined=joined,
        read_out=model.read_out,
    )


def _behind(model: TPCModel) -> dict[str, float]:
    behind = model.behind
    if behind is None:
        return {}
    distance = {} if behind.distance is None else {"mesh_distance": behind.distance}
    return distance | ({"field_behind": behind.strength} if isinstance(behind, FieldBehindModel) else {})


def _space_charge(model: GridSpaceChargeModel) -> GridSpaceCharge:
    numbers = model.rows.numbers.reshape(*model.nodes, 6)
    return GridSpaceCharge(model.lower, model.upper, numbers[..., :3], numbers[..., 3:])
