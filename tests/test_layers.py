"""The layers of the house hold, and the package ships what its folders hold."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import studio
from studio.study.experiment_file import shipped_geometries

ROOT = Path(__file__).parents[1]


def test_imports_point_one_way():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("pyvista", "rendering/scene.py"),
        ("vtkmodules", "rendering/scene.py"),
        ("trimesh", "io/meshes.py"),
        ("cma", "design/black_box.py"),
    ],
)
def test_one_module_imports_a_library_that_may_fail(library, home):
    """VTK ends the process where there is no OpenGL, and readers of meshes change: each has one door."""
    pattern = re.compile(rf"^\s*(?:import|from) {library}\b", re.M)
    files = [path for path in (ROOT / "studio").rglob("*.py") if pattern.search(path.read_text(encoding="utf-8"))]
    # What the probe tries in another process is text there.
    found = {path.relative_to(ROOT / "studio").as_posix() for path in files} - {"rendering/probe.py"}
    assert found == {home}


def test_every_package_is_named():
    """The build backend names its packages explicitly, so a new folder must be named too."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "studio").rglob("__init__.py")}
    assert set(settings["packages"]) == folders | {"studio.geometries"}


def test_licences_ship():
    """The wheel carries figures of WCSim, so it carries its licence."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license-files"]
    assert {"LICENSE", "docs/licences/WCSim.txt"} <= set(named)
    assert all((ROOT / name).is_file() for name in named)


def test_tables_are_named():
    """Every file of the package that is not Python matches a pattern of the package data."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    files = [path for path in (ROOT / "studio").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    packages = {path.parent for path in (ROOT / "studio").rglob("__init__.py")}

    def shipped(path: Path) -> bool:
        package = next(folder for folder in path.parents if folder in packages)
        inside = path.relative_to(package)
        return any(inside.match(text) and len(inside.parts) == len(Path(text).parts) for text in patterns)

    assert not [str(path) for path in files if not shipped(path)]
    tables = {path.parent for path in files if path.parent.name == "tables"}
    assert tables


def test_geometries_are_found_where_the_package_is():
    folder = shipped_geometries()["iwcd"].parent
    assert folder in (Path(studio.__file__).parent / "geometries", Path(studio.__file__).parents[1] / "geometries")


def test_no_addresses():
    """No address of a package index and no path of somebody's machine stands in a file of the repository."""
    forbidden = ("index-url", "/simple/", "find-links")
    suffixes = {".py", ".toml", ".md", ".yaml", ".cfg", ""}
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = [
        name for name in listed.stdout.splitlines() if Path(name).suffix in suffixes and name != "tests/test_layers.py"
    ]
    texts = {
        name: (ROOT / name).read_text(encoding="utf-8", errors="ignore") for name in names if (ROOT / name).is_file()
    }
    assert not [(name, word) for name, text in texts.items() for word in forbidden if word in text]
