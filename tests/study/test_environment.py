"""What a result depends on besides its experiment, as git and the installed packages say it."""

from __future__ import annotations

import subprocess

from studio.study.environment import git_state, packages


def test_the_state_of_a_file_in_git(tmp_path):
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    file = tmp_path / "study.yaml"
    file.write_text("seed: 1")
    assert git_state(file) is None  # no repository
    git("init")
    assert git_state(file) is None  # a repository around a file that does not belong to it
    git("add", "study.yaml")
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert git_state(file) == {"commit": commit, "modified": False}
    (tmp_path / "scratch.txt").write_text("not part of anything")
    assert git_state(file) == {"commit": commit, "modified": False}
    file.write_text("seed: 2")
    assert git_state(file) == {"commit": commit, "modified": True}
    assert git_state(tmp_path / "absent" / "study.yaml") is None


def test_packages_are_those_that_are_installed():
    import numpy

    found = packages()
    assert found["numpy"] == numpy.__version__
    assert list(found) == sorted(found, key=str.lower)
