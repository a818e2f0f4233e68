"""Every example of the documentation runs, in the order of its page; every link leads somewhere.

How a page is read: a yaml block whose first line is `# name.yaml` becomes that file, and so does any block after the comment
`<!-- file: name -->`. Python blocks of a page share one namespace. Bash blocks that begin with `studio` are run line by line and
must end with exit code 0, or the one that a comment `<!-- exit: 2 -->` before them names; then the text block that follows
is the message. Everything happens in a temporary directory that holds copies of the shipped geometries and experiments.

Quick tests replace the physics of the commands by a cheap stand-in, and simulate with fewer segments; slow ones run what the
page says, with fewer steps and events.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from studio.cli import commands, run
from studio.study import assembly
from tests.stand_in import StandIn

ROOT = Path(__file__).parents[1]
PAGES = [Path("README.md"), *sorted(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md"))]
TUTORIAL = Path("docs/tutorial.md")
LIMITS = Path("docs/how_to/limit_a_design.md")
TRACKING = Path("docs/how_to/track_studies.md")
SLOW = {  # compilation of second derivatives and of the reconstruction
    Path("docs/how_to/add_an_objective.md"),
    Path("docs/how_to/reconstruct_tracks.md"),
}

BLOCK = re.compile(
    r"(?:<!-- (?P<key>\w+): (?P<value>.+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.S | re.M
)
SMALLER = (
    (r"steps: \d+", "steps: 2"),
    (r"validation: \{events: \d+", "validation: {events: 16"),
    (r"count: (16|96)$", "count: 4"),
    (r", batch: \d+", ""),
    (r"--events \d+", "--events 16"),
)
COARSER = (r"OpticalSimulator\(\)", "OpticalSimulator(segments=8, wavelengths=21, degree=4, kink_modes=2)")


class Block(NamedTuple):
    """A fenced block: its line in the page, language, text, and the comment before it."""

    line: int
    language: str
    text: str
    key: str | None
    value: str | None


def blocks(page: Path) -> list[Block]:
    content = (ROOT / page).read_text()
    return [
        Block(
            content[: found.start("text")].count("\n") + 1,
            found["language"],
            found["text"],
            found["key"],
            found["value"],
        )
        for found in BLOCK.finditer(content)
    ]


def smaller(text: str) -> str:
    for pattern, replacement in SMALLER:
        text = re.sub(pattern, replacement, text, flags=re.M)
    return text


def coarser(text: str) -> str:
    return re.sub(*COARSER, smaller(text))


def follow(page: Path, capsys, change=lambda text: text) -> str:
    """Does what the page says, in the current directory; returns everything that was printed on standard output."""
    namespace: dict = {"__name__": "__page__"}
    printed = ""
    found = blocks(page)
    for number, block in enumerate(found):
        if block.key == "file":
            Path(block.value or "").write_text(block.text)
        elif block.language == "yaml" and (name := re.match(r"# (\S+\.yaml)\n", block.text)):
            Path(name[1]).write_text(change(block.text))
        elif block.language == "python":
            # Errors of an example point into the page.
            exec(
                compile("\n" * (block.line - 1) + change(block.text), str(ROOT / page), "exec", dont_inherit=True),
                namespace,
            )
        elif block.language == "bash" and block.text.startswith("studio "):
            expected = int(block.value or 0) if block.key == "exit" else 0
            for line in block.text.splitlines():
                code = run(shlex.split(change(line))[1:])
                shown = capsys.readouterr()
                printed += shown.out
                assert code == expected, f"{page}:{block.line}: {line}\n{shown.err}"
                if expected:
                    assert shown.err.split() == found[number + 1].text.split(), f"{page}: the message of {line}"
        printed += capsys.readouterr().out
    return printed


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    for name in ("geometries", "experiments"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def stand_in(monkeypatch) -> None:
    monkeypatch.setattr(assembly, "physics_of", lambda file, detector: StandIn())
    monkeypatch.setattr("studio.study.measure.physics_of", lambda file, detector: StandIn())


# ---- examples ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [page for page in PAGES if page not in {*SLOW, TUTORIAL}], ids=str)
def test_examples_run(page, folder, stand_in, capsys, monkeypatch):
    if page == TRACKING:
        monkeypatch.delenv("STUDIO_TRACKING_URI")  # where studies are recorded without a word
    follow(page, capsys, coarser)


def test_the_tutorial_runs_and_names_the_files_that_a_study_leaves(folder, stand_in, capsys):
    follow(TUTORIAL, capsys, coarser)
    named = re.findall(r"^\| (`.*`) \|", (ROOT / TUTORIAL).read_text(), re.M)
    files = [name for cell in named for name in re.findall(r"`([\w./]+\.\w+)`", cell)]
    assert len(files) >= 9
    for name in files:
        assert Path("runs/second", name).is_file(), name


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(SLOW), ids=str)
def test_long_examples_run(page, folder, capsys):
    follow(page, capsys, smaller)


@pytest.mark.slow
def test_the_tutorial_runs_with_the_real_physics(folder, capsys):
    """Two steps and 16 events: what the tables of the page show is there, whatever the numbers are."""
    printed = follow(TUTORIAL, capsys, smaller)
    rows = re.findall(r"│ (CRLB|measured) +│ (\w+)", (ROOT / TUTORIAL).read_text())
    assert len(rows) == 12
    for kind, name in rows:
        assert re.search(rf"{kind} +│ {name}", printed), f"{kind} {name}"
    for words in (
        "reconstruction failed: baseline",
        "│ vertex_resolution ",
        "│ mean log ",
        "feasible",
        "gain of first",
    ):
        assert words in printed, words
    assert {"layout.png", "history.png", "layout.html"} <= {p.name for p in Path("runs/second/figures").iterdir()}


@pytest.mark.parametrize("page", [TUTORIAL, LIMITS], ids=str)
def test_the_examples_that_are_printed_are_those_of_the_commands(page, folder, capsys):
    """The lines of `studio check` that a page shows."""
    Path("tank.yaml").write_text(next(block.text for block in blocks(page) if block.language == "yaml"))
    assert run(["check", "tank.yaml"]) == 0
    shown = next(block.text for block in blocks(page) if block.language == "text")
    assert shown in capsys.readouterr().out


# ---- what is not run ---------------------------------------------------------------------------------------------------


def test_the_tutorial_installs_like_the_readme():
    first = {
        page: next(block.text for block in blocks(page) if block.language == "bash") for page in (PAGES[0], TUTORIAL)
    }
    assert first[PAGES[0]].startswith(first[TUTORIAL])


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_named_anywhere_exist_with_their_options(page):
    """Also in running text, tables, and blocks that are too long to be run."""
    text = (ROOT / page).read_text()
    lines = re.findall(r"^studio [a-z].*$|`(studio [a-z][^`]*)`", text, re.M)
    lines = [line for line in [*lines, *re.findall(r"^(studio [a-z].*)$", text, re.M)] if line]
    for line in lines:
        if re.match(r"studio: ", line):
            continue
        name, *arguments = shlex.split(line)[1:]
        if name == "--help":
            continue
        options = {text for parameter in commands.commands[name].params for text in parameter.opts}
        assert {word for word in arguments if word.startswith("--")} <= options, line


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_block_is_known_and_balanced(page):
    content = (ROOT / page).read_text()
    found = blocks(page)
    assert content.count("```") == 2 * len(found)
    assert {block.language for block in found} <= {"bash", "python", "yaml", "text", "diff"}


# ---- links -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    text = re.sub(BLOCK, "", (ROOT / page).read_text())
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}, target


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [Path("README.md")]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text())
        here = [(ROOT / page).parent / link for link in links if "://" not in link]
        waiting += [path.resolve().relative_to(ROOT.resolve()) for path in here if path.is_file()]
    assert reached == set(PAGES)


def test_every_test_file_is_named_where_claims_are_verified():
    """A new test of physics, design or studies has its line in docs/verification.md."""
    text = (ROOT / "docs" / "verification.md").read_text()
    named = set(re.findall(r"tests/([\w/]+\.py)", text))
    assert all((ROOT / "tests" / name).is_file() for name in named)
    claims = ("known_answers", "simulation", "inference", "gradients", "event")
    present = {
        path.relative_to(ROOT / "tests").as_posix()
        for name in claims
        for path in (ROOT / "tests" / name).rglob("test_*.py")
    }
    assert present <= named, present - named


def test_pictures_are_small():
    pictures = [path for path in (ROOT / "docs").rglob("*") if path.suffix in (".png", ".svg", ".jpg")]
    assert pictures
    assert all(path.stat().st_size < 300_000 for path in pictures)


def test_what_came_from_others_has_its_licence():
    """Every file of the package and of the geometries that says "MIT" is named beside the licence text."""
    licences = ROOT / "docs" / "licences"
    assert "Permission is hereby granted, free of charge" in (licences / "WCSim.txt").read_text()
    listed = (licences / "README.md").read_text()
    tracked = subprocess.run(
        ["git", "ls-files", "studio", "geometries"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    files = [ROOT / name for name in tracked.stdout.split()] or [
        *ROOT.glob("studio/**/*.*"),
        *ROOT.glob("geometries/*"),
    ]
    for file in files:
        if file.suffix in (".py", ".csv", ".yaml", ".json") and re.search(r"\bMIT\b", file.read_text(encoding="utf-8")):
            assert f"{file.relative_to(ROOT).as_posix()}" in listed, file
