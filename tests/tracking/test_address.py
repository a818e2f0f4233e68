"""Addresses of stores as they are given, kept and shown; what of a study fits into MLflow's limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio import InputError, MlflowTracker
from studio.study.tracked import kept_address
from studio.tracking import Register, lookup_address, tracking_address
from studio.tracking.address import server_place, shown
from studio.tracking.entries import PARAMETER_LENGTH, parameters_of, step_metrics

SECRET = "postgresql://me:secret@db.example:5433/studies"


def test_relative_files_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tracking_address("sqlite:///a/b.db") == f"sqlite:///{tmp_path}/a/b.db"
    assert tracking_address(None) == lookup_address("none") == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert tracking_address("none") is None
    assert tracking_address("http://server:5000") == "http://server:5000"


def test_what_is_no_address_is_refused():
    with pytest.raises(InputError, match="tracking-uri: not the address.*'server:5000'.*'none' for no tracking"):
        MlflowTracker("server:5000")


def test_passwords_are_neither_shown_nor_kept(tmp_path):
    assert shown(SECRET) == "postgresql://me:***@db.example:5433/studies"
    Register(tmp_path).open(SECRET)
    Register(tmp_path).enter(SECRET, "0" * 32)
    assert "secret" not in (tmp_path / "tracking.jsonl").read_text()
    assert Register(tmp_path).run(SECRET) == "0" * 32
    with pytest.raises(InputError, match="--tracking-uri with the password"):
        kept_address(tmp_path)


def test_a_study_has_one_identity_and_a_run_in_each_store(tmp_path):
    identity = Register(tmp_path).open("http://a")
    Register(tmp_path).enter("http://a", "1")
    assert Register(tmp_path).open("http://b") == identity
    Register(tmp_path).enter("http://b", "2")
    assert Register(tmp_path).open("http://a") == identity
    assert [Register(tmp_path).run(name) for name in ("http://a", "http://b")] == ["1", "2"]
    assert kept_address(tmp_path) == "http://a"
    assert kept_address(Path(tmp_path / "elsewhere")) is None


@pytest.mark.parametrize(
    ("address", "place"),
    [
        (SECRET, ("db.example", 5433)),
        ("mysql+pymysql://db/studies", ("db", 3306)),
        ("postgresql:///studies?host=/tmp", None),
        ("http://server:5000", None),
    ],
)
def test_database_servers_are_looked_for_before_a_driver_waits_for_them(address, place):
    assert server_place(address) == place


def test_long_values_say_that_they_were_cut():
    (text,) = parameters_of({"positions": "x" * 10_000}).values()
    assert len(text) == PARAMETER_LENGTH
    assert text.endswith("... (cut: 10000 characters, the whole is in the study's files)")


def test_metrics_are_the_numbers_of_a_line_by_path():
    line = {"step": 4, "start": 0, "objective": 1, "terms": {"σ (vertex)": 0.5}, "best": None, "note": "restored"}
    assert step_metrics(line) == {"objective": 1.0, "terms.σ _vertex_": 0.5}
