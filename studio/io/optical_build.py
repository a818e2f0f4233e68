"""From a validated geometry file to an optical detector, with the audit of where its sensors stand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

import numpy as np

from .._checks import InputError, choice_remedy
from ..detector import (
    Detector,
    EfficiencyTable,
    OpticalElectronics,
    PhotosensorArray,
    Reflector,
    SensorType,
    TimeResolution,
    black_sheet,
    sensor_type,
    sensor_type_names,
    shipped_sensor_types,
    tyvek,
)
from ..detector import layouts as placing
from ..geometry import AbstractVolume, Box, Cylinder, MeshVolume, Sphere
from ..medium import Water
from ..units import mm, parse_quantity
from .document import Document
from .optical_models import (
    AreaModel,
    CylinderModel,
    FibonacciModel,
    FileModel,
    GlassModel,
    GridModel,
    LayoutModel,
    MeshModel,
    OpticalModel,
    PositionsModel,
    ReflectorModel,
    RingsModel,
    SensorGroupModel,
    SensorTypeModel,
    SphereModel,
    TableModel,
    ToleranceModel,
    VolumeModel,
    WallModel,
)
from .positions import along_z, read_positions
from .yaml_reader import KeyPath

_SLACK = 0.01 * mm
"""Sums of single-precision positions in a 70 m tank are off by this much; the audit lets it pass."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where in the files a sensor was written: key, line, and words to add when another file holds it."""

    path: KeyPath
    line: int | None
    words: str = ""


@dataclasses.dataclass(frozen=True)
class Group:
    """The sensors of one group, placed: arrays over its sensors, `off_wall` in mm or None where they were laid out on the
    wall, and `places` that says where sensor i was written."""

    types: tuple[SensorType, ...]
    efficiency: tuple[float, ...]
    glass: tuple[GlassModel | None, ...]
    kind: np.ndarray
    radius: np.ndarray
    weight: np.ndarray
    layout: placing.Layout
    off_wall: np.ndarray | None
    tolerance: ToleranceModel
    path: KeyPath
    places: list[Place] | Place

    def place(self, index: int) -> Place:
        """Where sensor `index` of this group was written."""
        return self.places if isinstance(self.places, Place) else self.places[index]


@dataclasses.dataclass(frozen=True)
class Built:
    """A detector and the groups it was built from, in the order of its sensors."""

    detector: Detector
    groups: list[Group]


def build(document: Document, model: OpticalModel) -> Built:
    """The detector a validated file describes, audited. **Raises** `InputError` at the line of what is wrong."""
    try:
        volume = _volume(document, model.volume)
        given = model.medium.model_dump(exclude={"kind"}, exclude_none=True)
        medium = Water(**given)
        single = not isinstance(model.sensors, list)
        paths: list[KeyPath] = [("sensors",) if single else ("sensors", i) for i in range(len(model.groups))]
        own = {name: _own_type(document, name, entry) for name, entry in model.sensor_types.items()}
        groups = [_group(document, volume, entry, path, own) for entry, path in zip(model.groups, paths, strict=True)]
        _audit_edges(document, volume, groups)
        sensors = _array(document, groups)
        electronics = OpticalElectronics(**model.electronics.model_dump(exclude_none=True))
        name = model.name or Path(document.file).stem
        wall = _wall(document, model.wall)
        detector = Detector(volume, medium, sensors, electronics, name, wall)
        _audit_overlaps(document, detector, groups)
    except InputError as error:
        raise error.located(file=document.file, line=document.line_of(error.key or ())) from None
    return Built(detector, groups)


def _volume(document: Document, model: VolumeModel) -> AbstractVolume:
    if isinstance(model, CylinderModel):
        return Cylinder(radius=model.radius, height=model.height)
    if isinstance(model, SphereModel):
        return Sphere(radius=model.radius)
    if isinstance(model, MeshModel):
        return _mesh(document, model)
    x, y, z = model.size
    return Box(size=(x, y, z))


def _mesh(document: Document, model: MeshModel) -> MeshVolume:
    """**Raises** `InputError` at the line of the file's name, or of the vertex or triangle that is wrong."""
    unit = parse_quantity(f"1 {model.unit}", "length")
    if model.file is not None:
        from .meshes import read_mesh

        path: KeyPath = ("volume", "file")
        try:
            vertices, triangles = read_mesh(document.directory / model.file)
            return MeshVolume(vertices * unit, triangles, model.scale)
        except InputError as error:
            raise document.error(path, error.problem, value=error.value or model.file, remedy=error.remedy) from None
    assert model.vertices is not None
    assert model.triangles is not None
    rows = {"vertices": model.vertices, "triangles": model.triangles}
    try:
        return MeshVolume(model.vertices.numbers * unit, model.triangles.numbers.astype(int), model.scale)
    except InputError as error:
        _, name, *index = (error.key or "volume.triangles").split(".")
        line = document.text_line(("volume", name), int(rows[name].offsets[int(index[0])])) if index else None
        raise document.error(
            ("volume", name), error.problem, value=error.value, line=line, remedy=error.remedy
        ) from None


# ---- groups ----------------------------------------------------------------------------------------------------------


def _group(
    document: Document, volume: AbstractVolume, entry: SensorGroupModel, path: KeyPath, own: Mapping[str, SensorType]
) -> Group:
    types = tuple(own.get(name) or _type(document, name, path, own) for name in entry.type_names)
    given = entry.efficiency
    efficiency = tuple(given) if isinstance(given, list) else (given,) * len(types)
    face = entry.radius or max(one.radius for one in types)
    layout, off_wall, places = _layout(document, volume, entry, path, face)
    kind, radius, weight = np.zeros(len(layout.patch), dtype=int), None, None
    if isinstance(entry.layout, TableModel):
        rows = entry.layout.rows
        radius, weight = rows.radius, rows.weight
        if rows.types is not None:
            kind = _indices(document, rows.types, entry.type_names, path, rows.offsets, "sensor type")
    if radius is None:
        usual = np.array([one.radius for one in types])[kind]
        radius = usual if entry.radius is None else np.full(len(usual), entry.radius)
    weight = np.ones(len(kind)) if weight is None else weight
    glass = _glasses(document, entry, path)
    return Group(types, efficiency, glass, kind, radius, weight, layout, off_wall, entry.tolerance, path, places)


def _type(document: Document, name: str, path: KeyPath, own: Mapping[str, SensorType]) -> SensorType:
    try:
        return sensor_type(name)
    except InputError as error:
        remedy = choice_remedy(name, (*own, *sensor_type_names())) + "; or describe it under sensor_types"
        raise document.error((*path, "type"), error.problem, value=name, remedy=remedy) from None


def _own_type(document: Document, name: str, model: SensorTypeModel) -> SensorType:
    """The sensor type that a file describes itself. **Raises** `InputError` at the line of what is wrong."""
    here: KeyPath = ("sensor_types", name)
    if name in {shipped.name for shipped in shipped_sensor_types()}:
        raise document.error(here, "a sensor type of this name ships with the studio", remedy="choose another name")
    table = None
    if model.efficiency_table is not None:
        rows, path = model.efficiency_table, (*here, "efficiency_table")
        try:
            table = EfficiencyTable(*(tuple(column.tolist()) for column in rows.numbers.T))
        except InputError as error:
            index = (error.key or "").rpartition(".")[2]
            line = document.text_line(path, int(rows.offsets[int(index)])) if index.isdigit() else None
            raise document.error(path, error.problem, value=error.value, line=line, remedy=error.remedy) from None
    try:
        return SensorType(
            name=name,
            efficiency_table=table,
            time_resolution=TimeResolution(**model.time_resolution.model_dump()),
            **model.model_dump(exclude={"efficiency_table", "time_resolution"}),
        )
    except InputError as error:
        key = (error.key or "").rpartition(".")[2]
        raise document.error((*here, key), error.problem, value=error.value, remedy=error.remedy) from None


def _layout(
    document: Document, volume: AbstractVolume, entry: SensorGroupModel, path: KeyPath, face: float
) -> tuple[placing.Layout, np.ndarray | None, list[Place] | Place]:
    model: LayoutModel = entry.layout
    here: KeyPath = (*path, "layout")
    if isinstance(model, TableModel):
        places = [Place((*here, "rows"), document.text_line((*here, "rows"), int(row))) for row in model.rows.offsets]
        return _chart_layout(document, volume, model, here), None, places
    if isinstance(model, PositionsModel):
        positions, places = _given_positions(document, model, here)
        projection = _project(document, volume, positions, None, entry.tolerance, places)
        return projection.layout, projection.off_wall, places
    if isinstance(model, FileModel):
        positions, directions, places = _file_positions(document, model, here)
        projection = _project(document, volume, positions, directions, entry.tolerance, places)
        return projection.layout, projection.off_wall, places
    try:
        if isinstance(model, GridModel):
            patches = _grid_patches(document, volume, model, here)
            tile = None if model.tile is None else np.array([[place == "x" for place in row] for row in model.tile])
            layout = placing.grid(volume, model.spacing, face, caps=model.caps, patches=patches, tile=tile)
            return layout, None, Place((*here, "spacing"), document.line_of((*here, "spacing")))
        if isinstance(model, FibonacciModel):
            layout = placing.fibonacci(volume, model.count)
            return layout, None, Place((*here, "count"), document.line_of((*here, "count")))
        if isinstance(model, AreaModel):
            layout = placing.by_area(volume, model.count, face)
            return layout, None, Place((*here, "count"), document.line_of((*here, "count")))
        if isinstance(model, RingsModel):
            layout = placing.rings(volume, model.spacing)
            return layout, None, Place((*here, "spacing"), document.line_of((*here, "spacing")))
    except placing.PlacementError:
        raise
    except InputError as error:
        if error.file is not None:
            raise
        key: KeyPath = (*here, error.key) if error.key else here
        raise document.error(key, error.problem, value=error.value, remedy=error.remedy) from None
    assert_never(model)


def _grid_patches(
    document: Document, volume: AbstractVolume, model: GridModel, here: KeyPath
) -> tuple[str, ...] | None:
    for index, name in enumerate(model.patches or ()):
        if name not in volume.patches:
            remedy = choice_remedy(name, volume.patches)
            raise document.error((*here, "patches", index), "the volume has no such patch", value=name, remedy=remedy)
    return None if model.patches is None else tuple(dict.fromkeys(model.patches))


def _chart_layout(document: Document, volume: AbstractVolume, model: TableModel, here: KeyPath) -> placing.Layout:
    rows, path = model.rows, (*here, "rows")
    first = document.text_line(path, int(rows.offsets[0]) - 1)
    if rows.numbers.shape[1] != volume.chart_size:
        words = " ".join("uvw"[: volume.chart_size])
        problem = f"{rows.numbers.shape[1]} surface coordinates where the volume has {volume.chart_size}"
        raise document.error(path, problem, line=first, remedy=f"give the columns {words}")
    if rows.patches is None:
        if len(volume.patches) > 1:
            remedy = f"add a column 'patch' with one of: {', '.join(volume.patches)}"
            raise document.error(path, "no column 'patch'", line=first, remedy=remedy)
        patch = np.zeros(rows.count, dtype=int)
    else:
        patch = _indices(document, rows.patches, volume.patches, here[:-1], rows.offsets, "patch")
    if volume.chart_size == 3:
        zero = np.linalg.norm(rows.numbers, axis=-1) == 0
        if zero.any():
            line = document.text_line(path, int(rows.offsets[np.argmax(zero)]))
            raise document.error(path, "a direction of length zero", line=line, remedy="give unit vectors u v w")
    return placing.Layout(patch, rows.numbers)


def _indices(
    document: Document,
    names: list[str],
    allowed: list[str] | tuple[str, ...],
    group: KeyPath,
    offsets: np.ndarray,
    word: str,
) -> np.ndarray:
    index = {name: number for number, name in enumerate(allowed)}
    for name, offset in zip(names, offsets, strict=True):
        if name not in index:
            path = (*group, "layout", "rows")
            line = document.text_line(path, int(offset))
            raise document.error(path, f"unknown {word}", value=name, line=line, remedy=choice_remedy(name, allowed))
    return np.array([index[name] for name in names])


def _given_positions(document: Document, model: PositionsModel, here: KeyPath) -> tuple[np.ndarray, list[Place]]:
    if model.points is not None:
        path: KeyPath = (*here, "points")
        if not model.points:
            raise document.error(path, "holds no sensor", remedy="add points such as [1 m, 0 m, 0 m]")
        places = [Place((*path, i), document.line_of((*path, i))) for i in range(len(model.points))]
        return np.array(model.points), places
    assert model.rows is not None
    assert model.unit is not None
    path = (*here, "rows")
    places = [Place(path, document.text_line(path, int(offset))) for offset in model.rows.offsets]
    return model.rows.numbers * parse_quantity(f"1 {model.unit}", "length"), places


def _file_positions(
    document: Document, model: FileModel, here: KeyPath
) -> tuple[np.ndarray, np.ndarray | None, list[Place]]:
    path: KeyPath = (*here, "path")
    file = document.directory / model.path
    table = read_positions(file, model.format)
    wanted = np.ones(table.count, dtype=bool) if model.only_type is None else table.types == model.only_type
    if not wanted.any():
        found = ", ".join(str(number) for number in np.unique(table.types))
        problem = f"{file.name} holds no sensor of this type number"
        raise document.error((*here, "only_type"), problem, value=model.only_type, remedy=f"types there: {found}")
    line = document.line_of(path)
    places = [Place(path, line, f" (line {number} of {file.name})") for number in table.lines[wanted]]
    directions = None if table.directions is None else along_z(table.directions[wanted], model.axis)
    return along_z(table.positions[wanted], model.axis), directions, places


def _project(
    document: Document,
    volume: AbstractVolume,
    positions: np.ndarray,
    directions: np.ndarray | None,
    tolerance: ToleranceModel,
    places: list[Place],
) -> placing.Projection:
    try:
        return placing.from_positions(volume, positions, off_wall=tolerance.off_wall, directions=directions)
    except placing.PlacementError as error:
        place = places[error.index]
        problem = error.problem + place.words
        raise document.error(place.path, problem, value=error.value, line=place.line, remedy=error.remedy) from None


def _array(document: Document, groups: list[Group]) -> PhotosensorArray:
    types: list[SensorType] = []
    efficiencies: list[float] = []
    glasses: list[GlassModel | None] = []
    kinds = []
    for group in groups:
        for one, efficiency, glass in zip(group.types, group.efficiency, group.glass, strict=True):
            if one not in types:
                types.append(one)
                efficiencies.append(efficiency)
                glasses.append(glass)
            elif efficiencies[types.index(one)] != efficiency:
                problem = f"another efficiency for '{one.name}' than before"
                path = (*group.path, "efficiency")
                raise document.error(path, problem, value=efficiency, remedy="give each sensor type one efficiency")
            elif glasses[types.index(one)] != glass:
                problem = f"another glass for '{one.name}' than before"
                remedy = "give each sensor type one glass, the same in all groups"
                raise document.error((*group.path, "glass"), problem, remedy=remedy)
        kinds.append(np.array([types.index(one) for one in group.types])[group.kind])
    return PhotosensorArray(
        uv=np.concatenate([group.layout.uv for group in groups]),
        patch=np.concatenate([group.layout.patch for group in groups]),
        types=tuple(types),
        kind=np.concatenate(kinds),
        radius=np.concatenate([group.radius for group in groups]),
        efficiency=np.array(efficiencies),
        weight=np.concatenate([group.weight for group in groups]),
        glass=_glass(document, types, glasses, groups),
    )


# ---- surfaces --------------------------------------------------------------------------------------------------------


def _wall(document: Document, model: WallModel | None) -> Reflector | None:
    if model is None:
        return None
    given = model.model_dump(exclude={"kind"}, exclude_none=True)
    try:
        if isinstance(model, ReflectorModel):
            return Reflector(**given)
        return black_sheet(**given) if model.kind == "black_sheet" else tyvek(**given)
    except InputError as error:
        raise _of_surface(document, ("wall",), error) from None


def _glasses(document: Document, entry: SensorGroupModel, path: KeyPath) -> tuple[GlassModel | None, ...]:
    """The glass of each type of a group, None where nothing is said. **Raises** `InputError` at the line of what is wrong."""
    names, here = entry.type_names, (*path, "glass")
    if entry.glass is None or isinstance(entry.glass, GlassModel):
        _check_glass(document, here, entry.glass)
        return (entry.glass,) * len(names)
    for name, glass in entry.glass.items():
        if name not in names:
            problem = "no sensor type of this group"
            raise document.error((*here, name), problem, value=name, remedy=choice_remedy(name, names))
        _check_glass(document, (*here, name), glass)
    return tuple(entry.glass.get(name) for name in names)


def _check_glass(document: Document, path: KeyPath, glass: GlassModel | None) -> None:
    try:
        if glass is not None:
            Reflector(**glass.model_dump())
    except InputError as error:
        raise _of_surface(document, path, error) from None


def _glass(
    document: Document, types: list[SensorType], glasses: list[GlassModel | None], groups: list[Group]
) -> Reflector | None:
    """All types' glass. **Raises** `InputError` where only some have one."""
    given = [glass for glass in glasses if glass is not None]
    if not given:
        return None
    if len(given) < len(types):
        bare = types[glasses.index(None)]
        group = next(group for group in groups if bare in group.types)
        problem = f"no glass for '{bare.name}', where other types have one"
        raise document.error((*group.path, "glass"), problem, remedy="give every sensor type its glass, or none")
    leaves = ([getattr(glass, name) for glass in given] for name in ("specular", "diffuse", "lobe"))
    return Reflector(*(np.array(leaf) for leaf in leaves))


def _of_surface(document: Document, path: KeyPath, error: InputError) -> InputError:
    """What is wrong with a `Reflector`, at its key in the file."""
    key = (error.key or "").rpartition(".")[2]
    return document.error((*path, key), error.problem, value=error.value, remedy=error.remedy)


# ---- audit -----------------------------------------------------------------------------------------------------------


def _audit_edges(document: Document, volume: AbstractVolume, groups: list[Group]) -> None:
    for group in groups:
        over = placing.overhang(volume, group.layout.patch, group.layout.uv, group.radius)
        if not (over <= group.tolerance.across_edge + _SLACK).all():
            index = int(np.argmax(over))
            place, name = group.place(index), volume.patches[group.layout.patch[index]]
            problem = f"the face of sensor {index} reaches {over[index] / mm:.4g} mm across the edge of patch '{name}'"
            if over[index] > group.radius[index]:
                problem = (
                    f"sensor {index} sits {(over[index] - group.radius[index]) / mm:.4g} mm outside patch '{name}'"
                )
            uv = ", ".join(f"{x:.6g}" for x in group.layout.uv[index])
            remedy = "move it inwards, change the volume's dimensions or raise tolerance.across_edge"
            raise document.error(place.path, problem + place.words, value=f"({uv})", line=place.line, remedy=remedy)


def _audit_overlaps(document: Document, detector: Detector, groups: list[Group]) -> None:
    positions, _, radii = (np.asarray(array, dtype=np.float64) for array in detector.placed)
    pairs, depths = placing.overlaps(positions, radii)
    if len(pairs) == 0:
        return
    starts = np.cumsum([0] + [len(group.kind) for group in groups])
    member = np.searchsorted(starts, pairs, side="right") - 1
    allowed = np.array([group.tolerance.overlap for group in groups])[member].max(axis=-1)
    bad = depths > allowed + _SLACK
    if not bad.any():
        return
    worst = int(np.argmax(bad))
    first, second = sorted(int(i) for i in pairs[worst])
    number = int(np.searchsorted(starts, second, side="right") - 1)
    place = groups[number].place(second - int(starts[number]))
    distance = np.linalg.norm(positions[first] - positions[second])
    total = f"{int(bad.sum())} pairs of sensors overlap" if bad.sum() > 1 else "two sensors overlap"
    problem = (
        f"{total}; worst: {first} and {second}, {distance / mm:.4g} mm apart, overlap by {depths[worst] / mm:.4g} mm"
    )
    radius_text = f"radii {radii[first] / mm:g} mm and {radii[second] / mm:g} mm"
    remedy = "move them apart, use smaller sensors or raise tolerance.overlap"
    raise document.error(place.path, problem + place.words, value=radius_text, line=place.line, remedy=remedy)
