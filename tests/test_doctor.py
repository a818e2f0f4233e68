"""`studio doctor` finds what is missing, says what follows and what helps, and is never taken down by what is broken."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest

from studio import doctor
from studio._isolated import Answer, ask
from studio.cli import run
from studio.doctor import Finding, database, machine, programs
from studio.rendering import probe

ROOT = Path(__file__).parents[1]
GIB = 2**30


def named(findings: list[Finding], name: str) -> Finding:
    (found,) = (finding for finding in findings if finding.name == name)
    return found


def helpful(finding: Finding) -> bool:
    """What is not well comes with what follows and what to do."""
    return bool(finding.consequence and finding.remedy) == (finding.state != "ok")


# ---- in a process of its own -----------------------------------------------------------------------------------------


def test_what_crashes_or_hangs_leaves_us_alone():
    assert ask("print(6 * 7)", 60) == Answer("42\n", "")
    assert ask("import os; os.abort()", 60).problem == "the process died of SIGABRT"
    assert ask("raise SystemExit(3)", 60).problem == "exit code 3"
    assert ask("import no_such_thing_at_all", 60).problem.startswith("ModuleNotFoundError: No module named 'no_such")


def test_a_hanging_process_is_ended_with_its_children(tmp_path):
    """The child would write a file after two seconds; it must not, for it was ended after one."""
    late = tmp_path / "late"
    child = f"import time, pathlib; time.sleep(2); pathlib.Path({str(late)!r}).touch()"
    start = time.monotonic()
    answer = ask(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])", 1.0)
    assert answer.problem == "no answer within 1 s"
    assert time.monotonic() - start < 10
    time.sleep(2.5)
    assert not late.exists()


# ---- packages --------------------------------------------------------------------------------------------------------

REQUIRED = ["jax>=0.10", "h5py>=3.11", "ray[default]>=2.40", "click", 'pytest>=8.2; extra == "test"']


def versions(monkeypatch, **installed: str) -> list[Finding]:
    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(programs.metadata, "requires", lambda name: REQUIRED)
    monkeypatch.setattr(programs.metadata, "version", version)
    return programs.packages()


def test_packages_are_compared_with_the_least_version_as_numbers(monkeypatch):
    """0.9 is older than 0.10; a development version counts by its numbers; no least version, any will do."""
    found = versions(monkeypatch, jax="0.9.2", h5py="3.12.0.dev1+local", ray="2.100", click="7")
    assert [finding.name for finding in found] == ["jax", "h5py", "ray", "click"]  # not those of tests
    assert [finding.state for finding in found] == ["missing", "ok", "ok", "ok"]
    assert "0.9.2 is too old" in found[0].detail
    assert found[0].remedy == "pip install 'jax>=0.10'"
    assert found[0].fatal
    assert all(map(helpful, found))


def test_a_missing_package_is_fatal_only_where_studies_need_it(monkeypatch):
    found = versions(monkeypatch, jax="0.10", click="8")
    assert named(found, "h5py").fatal
    ray = named(found, "ray")
    assert (ray.state, ray.fatal) == ("missing", False)
    assert "--runner local" in ray.consequence
    assert all(map(helpful, found))


def test_all_that_the_package_names_is_known(monkeypatch):
    """Every optional package is one that the metadata names, and the versions here are the installed ones."""
    found = {finding.name: finding for finding in programs.packages()}
    assert set(programs._OPTIONAL) < set(found)
    assert found["numpy"].values["version"] == metadata.version("numpy")


def test_without_metadata_the_doctor_still_works(monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(programs.metadata, "requires", requires)
    (found,) = programs.packages()
    assert found.state == "warning"
    assert helpful(found)


# ---- what only a try tells -------------------------------------------------------------------------------------------

CPU = json.dumps([{"platform": "cpu", "kind": "cpu"}])
GPU = json.dumps([{"platform": "gpu", "kind": "NVIDIA H200"}] * 2)


@pytest.mark.parametrize(
    ("answer", "nvidia", "state", "words"),
    [
        (Answer(CPU, ""), False, "ok", "no graphics card"),
        (Answer(CPU, ""), True, "warning", "jax[cuda"),
        (Answer("a line of some library\n" + GPU + "\n", ""), True, "ok", "2 × NVIDIA H200"),
        (Answer("", "the process died of SIGSEGV"), True, "missing", "SIGSEGV"),
        (Answer("", "no answer within 30 s"), True, "missing", "JAX_PLATFORMS=cpu"),
    ],
)
def test_devices(monkeypatch, answer, nvidia, state, words):
    monkeypatch.setattr(programs, "ask", lambda code, timeout: answer)
    monkeypatch.setattr(programs, "_nvidia", lambda: nvidia)
    found = programs.devices(30.0)
    assert found.state == state
    assert words in " ".join((found.detail, found.consequence, found.remedy))
    assert found.fatal == bool(answer.problem)
    assert helpful(found)


def test_jax_is_asked_in_earnest():
    found = programs.devices(120.0)
    assert found.state in ("ok", "warning")
    assert found.values["devices"]


@pytest.fixture
def forgotten():
    """The probe of OpenGL remembers its answer; these tests ask anew, and so do those that follow."""
    probe.opengl.cache_clear()
    yield
    probe.opengl.cache_clear()


@pytest.mark.parametrize(
    ("problem", "remedy"),
    [
        ("the process died of SIGSEGV", "libgl1"),
        ("ModuleNotFoundError: No module named 'pyvista'", "pip install pyvista"),
    ],
)
def test_opengl_that_fails_stops_nothing(forgotten, monkeypatch, problem, remedy):
    monkeypatch.setattr(probe, "ask", lambda code, timeout: Answer("", problem))
    found = programs.opengl(30.0)
    assert (found.state, found.fatal) == ("missing", False)
    assert remedy in found.remedy
    assert helpful(found)


def test_opengl_that_works_names_what_draws(forgotten, monkeypatch):
    monkeypatch.setattr(probe, "ask", lambda code, timeout: Answer("llvmpipe\n", ""))
    assert programs.opengl(30.0) == Finding(name="opengl", state="ok", detail="llvmpipe")


@pytest.mark.parametrize("look", [programs.ray, programs.cluster])
@pytest.mark.parametrize(
    ("problem", "remedy"),
    [
        ("no answer within 90 s", "/tmp/ray"),
        ("ModuleNotFoundError: No module named 'ray'", "pip install 'ray[default]'"),
    ],
)
def test_ray_that_does_not_start_says_where_to_look(monkeypatch, look, problem, remedy):
    monkeypatch.setattr(programs, "ask", lambda code, timeout: Answer("", problem))
    found = look(90.0)
    assert (found.state, found.fatal, found.detail) == ("missing", False, problem)
    assert remedy in found.remedy
    assert helpful(found)


@pytest.mark.slow  # Ray takes its time
def test_a_cluster_starts_in_earnest():
    pytest.importorskip("ray")
    assert programs.cluster(180.0).state == "ok"


# ---- the machine -----------------------------------------------------------------------------------------------------

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("free", "state"), [(3 * GIB, "ok"), (GIB, "warning"), (GIB // 20, "missing")])
def test_a_full_disk(monkeypatch, free, state):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: Usage(10 * GIB, 10 * GIB - free, free))
    found = machine.disks()
    assert {finding.state for finding in found} == {state}
    assert named(found, "disk").fatal == (state == "missing")
    assert not named(found, "cache").fatal
    assert named(found, "disk").values["free_bytes"] == free
    assert all(map(helpful, found))


def test_a_folder_that_cannot_be_written(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine.os, "access", lambda path, mode: path != tmp_path)
    disk = named(machine.disks(), "disk")
    assert disk.fatal
    assert "cannot be written" in disk.detail


def test_a_cache_that_is_not_there_yet_is_looked_for_above(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "not" / "yet"))
    found = named(machine.disks(), "cache")
    assert found.state != "missing"
    assert found.values["folder"] == str(tmp_path / "not" / "yet" / "detector-studio")


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Control groups in a folder: a function that writes files there, and what /proc/self/cgroup says."""

    def write(own: str, files: dict[str, str]) -> None:
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (tmp_path / "own").write_text(own)

    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "_OWN_CGROUPS", tmp_path / "own")
    return write


def test_limits_of_control_groups_of_version_2(groups):
    """The tightest counts, here that of a group above; "max" is none."""
    groups(
        "0::/job/step\n",
        {
            "job/cpu.max": "150000 100000\n",
            "job/step/cpu.max": "max 100000\n",
            "job/memory.max": "max\n",
            "job/step/memory.max": f"{3 * GIB}\n",
            "job/step/memory.current": f"{GIB}\n",
        },
    )
    assert machine.core_quota() == 1.5
    assert machine.memory_limit() == (3 * GIB, GIB)


def test_limits_of_control_groups_of_version_1(groups):
    """A limit of 2^63 less a page, and a quota of -1, mean none."""
    groups(
        "4:memory:/a/b\n1:cpu,cpuacct:/a\n0::/\n",
        {
            "memory/a/memory.limit_in_bytes": f"{GIB}\n",
            "memory/a/memory.usage_in_bytes": "5\n",
            "memory/a/b/memory.limit_in_bytes": "9223372036854771712\n",
            "cpu/cpu.cfs_quota_us": "-1\n",
            "cpu/cpu.cfs_period_us": "100000\n",
            "cpu/a/cpu.cfs_quota_us": "50000\n",
            "cpu/a/cpu.cfs_period_us": "100000\n",
        },
    )
    assert machine.core_quota() == 0.5
    assert machine.memory_limit() == (GIB, 5)


def test_no_control_groups_no_limits(groups):
    groups("0::/\n", {})
    assert machine.core_quota() is None
    assert machine.memory_limit() == (None, 0)


def test_cores_and_memory_follow_the_limits(groups, monkeypatch):
    files = {"cpu.max": "100000 100000\n", "memory.max": f"{2 * GIB}\n", "memory.current": f"{GIB}\n"}
    groups("0::/\n", files)
    monkeypatch.setattr(machine, "available_cores", lambda: 8)
    cores, memory = machine.cores(), machine.memory()
    assert (cores.state, cores.values["quota"]) == ("warning", 1.0)
    assert "--devices 1" in cores.remedy
    assert memory.state == "warning"
    assert memory.values["total_bytes"] == 2 * GIB
    assert memory.values["free_bytes"] <= GIB
    assert helpful(cores)
    assert helpful(memory)


# ---- the store -------------------------------------------------------------------------------------------------------


def test_no_store_is_named(monkeypatch):
    for name in ("STUDIO_TRACKING_URI", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    assert database.store(5.0) == []
    assert database.sqlite().state == "ok"


@pytest.fixture
def server():
    """A server that knows /health and nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving.server_port
        serving.shutdown()


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_stores(monkeypatch, tmp_path, server):
    nobody = closed_port()
    cases = {
        f"http://127.0.0.1:{server}": "",
        f"http://127.0.0.1:{server}/wrong": "404",
        f"http://127.0.0.1:{nobody}": "refused",
        f"postgresql+psycopg2://me:secret@127.0.0.1:{server}/studies": "",
        f"postgresql://me:secret@127.0.0.1:{nobody}/studies": "refused",
        f"sqlite:///{tmp_path}/new.db": "",
        f"sqlite:///{tmp_path}/none/new.db": "no such folder",
        f"file://{tmp_path}": "",
        "cloud://somewhere": "not known here",
    }
    for uri, problem in cases.items():
        monkeypatch.setenv("STUDIO_TRACKING_URI", uri)
        (found,) = database.store(5.0)
        assert found.state == ("warning" if problem else "ok"), uri
        assert problem in found.detail, uri
        assert "secret" not in json.dumps(found.as_dict())
        assert not found.fatal
        assert helpful(found)


# ---- the command -----------------------------------------------------------------------------------------------------


def test_slow_things_are_looked_at_side_by_side(monkeypatch):
    """Each of the four ends only once all have begun."""
    begun = threading.Barrier(4, timeout=60.0)

    def slowly(timeout: float) -> Finding:
        begun.wait()
        return Finding(name="slow", state="ok", detail="")

    for name in ("devices", "opengl", "ray"):
        monkeypatch.setattr(programs, name, slowly)
    monkeypatch.setattr(database, "store", lambda timeout: [slowly(timeout)])
    said = []
    found = doctor.examine(say=said.append)
    assert sum(finding.name == "slow" for finding in found) == 4
    assert len(said) == 1


@pytest.fixture
def quick(monkeypatch):
    """The slow things all well, without being tried."""
    fine = Finding(name="tried", state="ok", detail="well")
    for name in ("devices", "opengl", "ray", "cluster"):
        monkeypatch.setattr(programs, name, lambda timeout: fine)
    monkeypatch.setattr(database, "store", lambda timeout: [])


KEYS = {"name", "state", "detail", "consequence", "remedy", "necessary", "values"}


def test_json_has_every_key_and_nothing_else_stands_there(quick, capsys):
    assert run(["doctor", "--json", "--full"]) == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert set(report) == {"ok", "full", "findings"}
    assert (report["ok"], report["full"]) == (True, True)
    for finding in report["findings"]:
        assert set(finding) == KEYS
        assert finding["state"] in ("ok", "warning", "missing")
    names = [finding["name"] for finding in report["findings"]]
    assert {"cores", "memory", "disk", "cache", "sqlite", "jax", "ray", "mlflow", "pyvista"} <= set(names)
    assert "looking at JAX, OpenGL, Ray" in shown.err


def test_what_is_necessary_decides_the_exit_code(quick, monkeypatch, capsys):
    installed = {"jax": "0.11", "click": "8.1", "h5py": "4.0"}
    versions(monkeypatch, **installed)
    assert run(["doctor", "--quiet"]) == 0  # without Ray studies run all the same
    shown = capsys.readouterr()
    assert "missing  ray" in shown.out
    assert shown.err == ""
    del installed["h5py"]
    versions(monkeypatch, **installed)
    assert run(["doctor", "--json"]) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["ok"] is False
    assert shown.err.strip().splitlines()[-1] == "studio: error: studies cannot run here for want of: h5py"


def test_the_table_says_what_follows_and_what_helps(quick, monkeypatch, capsys):
    versions(monkeypatch, jax="0.11", click="8.1", h5py="4.0")
    assert run(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("missing  ray "))
    assert lines[at].endswith("not installed, 2.40 is the least")
    assert lines[at + 1].strip() == "- studies run in one process (--runner local)"
    assert lines[at + 2].strip() == "- to do: pip install 'ray>=2.40'"


def test_the_real_doctor_needs_no_heavy_import(tmp_path):
    """In a process of its own; it tries JAX and OpenGL elsewhere, so that neither is loaded where it runs."""
    code = """
import sys
from studio import doctor
found = doctor.examine()
loaded = {"jax", "ray", "mlflow", "pyvista", "vtkmodules"} & set(sys.modules)
print(not loaded, len(found) > 15)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True", "True"], done.stderr
