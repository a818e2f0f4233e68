"""Pictures of studies, geometries and events by the command `studio render`, with OpenGL and without.

The study has the cheap stand-in physics, whose sensors' shares of the information are known in closed form.
"""

from __future__ import annotations

import json
import shutil

import jax
import numpy as np
import pytest
import trimesh
from PIL import Image

from studio import Gun, LocalRunner, Readout, Study, load_detector
from studio.cli import run
from studio.io.event_file import EventSet, write_events
from studio.rendering import probe
from studio.rendering.probe import opengl
from studio.study.observer import AbstractObserver
from studio.study.pictures import read_study_picture
from tests.stand_in import TANK, StandIn

needs_opengl = pytest.mark.skipif(not opengl().works, reason=opengl().reason)

EXPERIMENT = """
geometry: tank.yaml
events: {kind: gun, particle: [mu-, e-], kinetic_energy: [200 MeV, 1 GeV], vertex: uniform, direction: beam, count: 8}
free: {sensors.uv: {}}
objective: [{kind: vertex_resolution}]
constraints: [{kind: minimum_spacing, at_least: 0.6 m}]
optimiser: {kind: adam, learning_rate: 0.03, steps: 4, batch: 8, shard: 4}
validation: {events: 12, shard: 6}
seed: 5
"""


class Notes(AbstractObserver):
    """Keeps what was said."""

    def __init__(self):
        self.texts: list[str] = []

    def stage(self, name, total, done):
        pass

    def advance(self, details):
        pass

    def note(self, text):
        self.texts.append(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "tank.yaml").write_text(TANK)
    (folder / "study.yaml").write_text(EXPERIMENT)
    return folder


@pytest.fixture(scope="module")
def study(folder):
    """A finished study, and what it noted."""
    notes = Notes()
    with LocalRunner(2) as runner:
        solution = Study.from_file(folder / "study.yaml", physics=StandIn()).run(
            folder / "run", runner=runner, observer=notes, check_gradient=False
        )
    return solution, notes


@pytest.fixture
def blind(monkeypatch):
    """A machine whose VTK ends its process."""
    probe.opengl.cache_clear()
    monkeypatch.setattr(probe, "_ATTEMPT", "import os; os.abort()")
    yield
    probe.opengl.cache_clear()


@pytest.fixture
def fresh(folder, study, tmp_path, monkeypatch):
    """A copy of the study, its geometry and an event file, in the working directory."""
    shutil.copytree(folder / "run", tmp_path / "run")
    (tmp_path / "tank.yaml").write_text(TANK)
    tank = load_detector(tmp_path / "tank.yaml")
    populations = []
    for particle, count in (("mu-", 2), ("e-", 3)):
        events = Gun(particle, tank.volume, kinetic_energy=400.0).sample(jax.random.key(1), count)
        charge = np.random.default_rng(count).exponential(10.0, (count, tank.sensors.count))
        populations.append(EventSet(events, Readout(charge, np.zeros_like(charge), charge > 5)))
    write_events(tmp_path / "events.h5", populations)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def is_picture(path) -> bool:
    """Large, and neither white nor of one colour."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return min(pixels.shape[:2]) > 500 and 0.02 < np.mean(pixels.min(axis=-1) < 245) < 0.98


@needs_opengl
def test_a_study_leaves_its_pictures_behind(study):
    solution, notes = study
    figures = solution.directory / "figures"
    assert {path.name for path in figures.iterdir()} == {
        "layout.png", "history.png", "layout_3d.png", "moving.gif", "layout.html"
    }  # fmt: skip
    assert notes.texts == []
    assert is_picture(figures / "layout_3d.png")
    with Image.open(figures / "moving.gif") as picture:
        assert picture.n_frames == 6  # the start, four steps, the best design


def test_the_shares_of_the_sensors_are_in_the_ledger(study):
    """The mean over the first six events of each particle, where there are four, of what the stand-in says in closed form."""
    solution, _ = study
    with np.load(solution.directory / "sensor_information.npz") as stored:
        shares = {name: stored[name] for name in stored.files}
    assert set(shares) == {"baseline", "optimum"}
    from studio.study import read_experiment
    from studio.study.assembly import assemble

    groups = assemble(read_experiment(solution.directory / "experiment.yaml"), StandIn()).groups
    for name, detector in (("baseline", solution.baseline), ("optimum", solution.detector)):
        rows = []
        for group in groups:
            for index in range(group.count):
                weight, _ = StandIn().weights(detector, group[index])
                rows.append(np.asarray(weight) / np.sum(weight))
        assert len(rows) == 8
        np.testing.assert_allclose(shares[name], np.mean(rows, axis=0), rtol=1e-9)


def test_pictures_know_every_design_of_the_study(study):
    solution, _ = study
    picture = read_study_picture(solution.directory)
    assert [line["step"] for line in picture.trajectory] == [0, 1, 2, 3, 4]
    assert picture.best_step == solution.result["best_step"]
    assert picture.design.sensors.uv.tolist() == solution.detector.sensors.uv.tolist()


def test_a_study_goes_on_without_opengl(folder, blind):
    """One clear line says what to install, and the flat pictures are made."""
    notes = Notes()
    study = Study.from_file(folder / "study.yaml", physics=StandIn(), changes={"validation.events": 0})
    solution = study.run(folder / "blind", observer=notes, check_gradient=False)
    assert solution.result["feasible"]
    (note,) = notes.texts
    assert note.startswith("no three-dimensional pictures: VTK finds no OpenGL (the process died of SIGABRT): install")
    assert "apt-get install libegl1" in note
    names = {path.name for path in (folder / "blind" / "figures").iterdir()}
    assert names == {"layout.png", "history.png", "layout_information.png", "layout.html"}
    assert is_picture(folder / "blind" / "figures" / "layout_information.png")


def test_a_picture_that_fails_stops_no_study(folder, monkeypatch):
    def broken(*_):
        raise RuntimeError("out of ink")

    monkeypatch.setattr("studio.study.pictures.draw_study", broken)
    notes = Notes()
    study = Study.from_file(folder / "study.yaml", physics=StandIn(), changes={"validation.events": 0})
    assert study.run(folder / "broken", observer=notes, check_gradient=False).result["feasible"]
    assert notes.texts == ["figures were not made: out of ink"]
    assert (folder / "broken" / "figures" / "history.png").exists()  # made before


# ---- the command ---------------------------------------------------------------------------------------------------------


@needs_opengl
def test_render_a_study(fresh, capsys):
    shutil.rmtree(fresh / "run" / "figures")
    assert run(["render", "run", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["kind"] == "study"
    assert report["opengl"]["works"] is True
    assert report["files"] == [f"run/figures/{name}" for name in ("layout_3d.png", "moving.gif", "layout.html")]
    assert all((fresh / name).stat().st_size > 10_000 for name in report["files"])


@needs_opengl
def test_render_a_geometry(fresh, capsys):
    assert run(["render", "tank.yaml", "--out", "new/folder"]) == 0
    assert capsys.readouterr().out.split() == ["new/folder/tank_layout.png", "new/folder/tank_layout.html"]
    assert is_picture(fresh / "new" / "folder" / "tank_layout.png")


@needs_opengl
def test_render_an_event(fresh, capsys):
    command = ["render", "events.h5", "--geometry", "tank.yaml", "--event", "3", "--colour", "time", "--format", "png"]
    assert run(command) == 0
    assert capsys.readouterr().out.split() == ["events_event_3_time.png"]
    assert is_picture(fresh / "events_event_3_time.png")
    assert run([*command[:4], "--event", "1", "--format", "html"]) == 0
    page = (fresh / "events_event_1.html").read_text(encoding="utf-8")
    assert "mu- of 400 MeV" in page


def test_meshes_need_no_opengl(fresh, capsys, blind):
    assert run(["render", "run", "--out", ".", "--format", "glb", "--format", "stl", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["files"] == ["design.glb", "design.stl"]
    assert json.loads(shown.out)["opengl"]["works"] is None
    assert shown.err == ""
    scene = trimesh.load_scene(fresh / "design.glb")
    design = load_detector(fresh / "run" / "design.yaml")
    assert scene.geometry["sensors"].body_count == design.sensors.count


def test_without_opengl_maps_take_the_place_of_pictures(fresh, capsys, blind):
    assert run(["render", "run", "--out", "pictures"]) == 0
    shown = capsys.readouterr()
    assert shown.out.split() == ["pictures/layout_information.png", "pictures/layout.html"]
    assert shown.err.count("no three-dimensional pictures") == 1
    assert "apt-get install libegl1" in shown.err
    assert run(["render", "tank.yaml", "--out", "pictures", "--format", "png", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert run(["render", "events.h5", "--geometry", "tank.yaml", "--out", "pictures", "--format", "png"]) == 0
    for name in ("layout_information", "tank_layout", "events_event_0"):
        assert is_picture(fresh / "pictures" / f"{name}.png")


def test_a_study_whose_shares_are_lost_is_coloured_by_distance(fresh):
    (fresh / "run" / "sensor_information.npz").unlink()
    picture = read_study_picture(fresh / "run")
    assert picture.shares is None
    from studio.study.pictures import _before_and_after

    before, after = _before_and_after(picture)
    assert before.colouring.label == after.colouring.label == "distance from the start (mm)"
    assert np.max(before.colouring.values) == 0.0
    assert np.max(after.colouring.values) == pytest.approx(after.colouring.high)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.yaml"], "nothing.yaml: no such file or directory"),
        (["."], "holds no study"),
        (["tank.yaml", "--format", "gif"], "only studies move"),
        (["tank.yaml", "--geometry", "tank.yaml"], "only an event file needs a geometry"),
        (["events.h5"], "--geometry FILE"),
        (["events.h5", "--geometry", "tank.yaml", "--event", "5"], "events are 0 to 4"),
        (["events.h5", "--geometry", "other.yaml"], "holds 16 sensors, the detector has 34"),
        (["tank.yaml", "--format", "png", "--out", "tank.yaml/pictures"], "cannot be written"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, words, fresh, capsys):
    (fresh / "other.yaml").write_text(TANK.replace("1.8 m", "1.5 m"))
    assert run(["render", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_study_without_a_design_is_refused(fresh, capsys):
    (fresh / "run" / "design.yaml").unlink()
    assert run(["render", "run"]) == 2
    assert "studio resume" in capsys.readouterr().err
