"""Small studies with a cheap detector family, and their results on this process's own runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.studies import BATCHED, SHORT, programs_kept_in, ran, written


@pytest.fixture(scope="module")
def compilation_cache(tmp_path_factory):
    """Every study of a file runs the same programs: they are compiled once and read back."""
    folder = tmp_path_factory.mktemp("cache")
    with programs_kept_in(folder):
        yield folder


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    return written(tmp_path_factory.mktemp("experiment"), BATCHED, "tank_study.yaml")


@pytest.fixture(scope="module")
def reference(experiment, compilation_cache, tmp_path_factory):
    return ran(experiment, tmp_path_factory.mktemp("reference") / "run", lanes=2)


@pytest.fixture(scope="module")
def several(experiment, compilation_cache, tmp_path_factory):
    """A study of three starts, each with one piece of work a step: its file and its result."""
    file = experiment.with_name("several_starts.yaml")
    file.write_text(BATCHED.replace("steps: 8, batch: 6", "steps: 8, starts: 3, batch: 3"))
    return file, ran(file, tmp_path_factory.mktemp("several") / "run", lanes=2)


@pytest.fixture(scope="session")
def short_study(tmp_path_factory) -> Path:
    """The directory of a short study that is done."""
    folder = tmp_path_factory.mktemp("short")
    return ran(written(folder, SHORT), folder / "run").directory
