"""Layouts that keep a symmetry, and leaves that follow another one, in studies.

The shipped IWCD has the symmetry of a square and three mirrors, exactly (its table of positions does). Images are found here
by rotating positions in space, independently of the charts in which sensors move.
"""

import itertools

import jax
import numpy as np
import pytest
from scipy.spatial import KDTree

from studio import InputError, LocalRunner, Study, load_detector, replace
from studio.design import DesignSpace
from studio.study import read_experiment
from studio.study.assembly import assemble
from studio.study.bounds import wall_bound
from studio.study.ties import symmetric
from studio.units import mm
from tests import tanks
from tests.stand_in import TANK, StandIn

EXPERIMENT = """
geometry: tank.yaml
events: {kind: gun, particle: mu-, kinetic_energy: [200 MeV, 1 GeV], vertex: uniform, direction: isotropic, count: 6}
free:
  sensors.uv: {symmetry: {mirrors: [y, z]}}
objective: [{kind: vertex_resolution}]
constraints: [{kind: minimum_spacing, at_least: 0.4 m}]
optimiser: {kind: adam, learning_rate: 0.03, steps: 4, batch: 3, shard: 3}
validation: {events: 0}
seed: 5
"""


def turned(fold):
    angle = 2 * np.pi / fold
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


def worst_image(detector, element):
    """How far the image of a sensor is from the nearest sensor, mm."""
    positions = np.asarray(detector.placed.positions)
    return float(np.max(KDTree(positions).query(positions @ np.asarray(element).T)[0]))


def orbit_count(detector, fold, mirrors):
    """Burnside's lemma: the mean over the group of the number of sensors that an element leaves in place."""
    positions, still, size = np.asarray(detector.placed.positions), 0, 0
    for signs in itertools.product((1.0, -1.0), repeat=len(mirrors)):
        flip = np.diag([dict(zip(mirrors, signs, strict=True)).get(axis, 1.0) for axis in "xyz"])
        for turn in range(fold):
            moved = positions @ (np.linalg.matrix_power(turned(fold), turn) @ flip).T
            still += np.count_nonzero(np.linalg.norm(moved - positions, axis=-1) < 1.0)
            size += 1
    return still / size


@pytest.mark.parametrize(("fold", "mirrors"), [(4, []), (4, ["z"]), (2, ["x", "z"]), (4, ["x", "z"])])
def test_random_coordinates_keep_the_symmetry_of_iwcd(fold, mirrors):
    """Modules on a mirror stay on it."""
    detector = load_detector("geometries/iwcd.yaml")
    tie = symmetric(detector, wall_bound(detector), fold, mirrors, 1.0 * mm, "symmetry")
    assert len(tie.free) == orbit_count(detector, fold, mirrors)
    space = DesignSpace.of(detector, {"sensors.uv": tie})
    coordinates = space.disturbed(jax.device_get(space.pack(detector)), 0.2, 1)
    moved = space.unpack(detector, coordinates)
    assert np.max(np.abs(moved.placed.positions - detector.placed.positions)) > 500.0
    assert worst_image(moved, turned(fold)) < 1e-6  # rounding of 4 m in double precision: 1e-12 m
    for axis in mirrors:
        assert worst_image(moved, np.diag([-1.0 if name == axis else 1.0 for name in "xyz"])) < 1e-6
    assert worst_image(moved, turned(3)) > 100.0
    assert np.max(tie.excess(moved.sensors.uv)) <= 0


def test_a_sphere_keeps_its_symmetry():
    kind = tanks.plain_sensor()
    sphere = tanks.sphere(5000.0, 20, kind)
    points = np.asarray(sphere.sensors.uv[:5])
    images = np.concatenate([points, points @ turned(2).T, points * [1, 1, -1], points @ turned(2).T * [1, 1, -1]])
    detector = replace(sphere, {"sensors.uv": images})
    tie = symmetric(detector, wall_bound(detector), 2, ["z"], 1.0, "symmetry")
    assert len(tie.free) == 5
    space = DesignSpace.of(detector, {"sensors.uv": tie})
    moved = space.unpack(detector, space.disturbed(jax.device_get(space.pack(detector)), 0.3, 2))
    assert worst_image(moved, turned(2)) < 1e-6
    assert worst_image(moved, np.diag([1.0, 1.0, -1.0])) < 1e-6


@pytest.fixture
def experiment(tmp_path):
    (tmp_path / "tank.yaml").write_text(TANK)
    (tmp_path / "study.yaml").write_text(EXPERIMENT)
    return tmp_path / "study.yaml"


def test_a_study_reports_a_symmetric_design(experiment, tmp_path):
    with LocalRunner(1) as runner:
        found = Study.from_file(experiment, physics=StandIn()).run(tmp_path / "run", runner=runner)
    assert np.max(np.abs(found.detector.placed.positions - found.baseline.placed.positions)) > 10.0
    assert worst_image(found.detector, np.diag([1.0, -1.0, 1.0])) < 1e-6
    assert worst_image(found.detector, np.diag([1.0, 1.0, -1.0])) < 1e-6
    assert found.result["feasible"]


def test_a_size_that_follows_another_one(experiment):
    """The tank's shape is kept: its height is twice its radius whatever the radius."""
    text = EXPERIMENT.replace("sensors.uv: {symmetry: {mirrors: [y, z]}}", FOLLOWS.replace("FACTOR", "2"))
    experiment.write_text(text)
    assembly = assemble(read_experiment(experiment), StandIn())
    space = DesignSpace.of(assembly.baseline, assembly.free)
    assert space.size == 1
    moved = space.unpack(assembly.baseline, space.disturbed(jax.device_get(space.pack(assembly.baseline)), 0.5, 1))
    ratio = float(assembly.baseline.volume.height / assembly.baseline.volume.radius)
    assert float(moved.volume.height / moved.volume.radius) == pytest.approx(ratio, rel=1e-12)
    assert float(moved.volume.radius) != pytest.approx(float(assembly.baseline.volume.radius), rel=0.01)


FOLLOWS = "volume.radius: {between: [1 m, 4 m]}\n  volume.height: {follows: volume.radius, factor: FACTOR}"


@pytest.mark.parametrize(
    ("free", "key", "words"),
    [
        ("sensors.uv: {symmetry: {rotations: 5}}", "free.sensors.uv.symmetry", "image of sensor .* lower `rotations`"),
        ("sensors.uv: {symmetry: {mirrors: [w]}}", "free.sensors.uv.symmetry.mirrors.0", "x.*y.*z"),
        ("volume.radius: {symmetry: {rotations: 2}}", "free.volume.radius.symmetry", "only a layout"),
        ("volume.radius: {factor: 2}", "free.volume.radius.factor", "a factor of nothing"),
        ("volume.height: {follows: volume.radius}", "free.volume.height.follows", "follows none of the free ones"),
        (FOLLOWS.replace("FACTOR", "1.25"), "free.volume.height.factor", "does not start at 1.25 times.*write factor"),
    ],
)
def test_ties_that_cannot_be_are_refused_with_their_line(experiment, free, key, words):
    experiment.write_text(EXPERIMENT.replace("sensors.uv: {symmetry: {mirrors: [y, z]}}", free))
    with pytest.raises(InputError, match=words) as caught:
        assemble(read_experiment(experiment), StandIn())
    assert caught.value.key == key
    assert caught.value.line >= 5
