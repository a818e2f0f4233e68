"""A run id back to its study: the directory where that still stands, else its files as they were recorded."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._checks import InputError
from .address import shown, sqlite_file
from .mlflow_store import Store, configure
from .register import Register

if TYPE_CHECKING:
    from mlflow import MlflowClient


def is_run_id(text: str) -> bool:
    """Whether a text looks like the id of a run: 32 hexadecimal digits."""
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None


@dataclasses.dataclass(frozen=True)
class TrackedStudy:
    """A study as a store knows it. `directory`: where its ledger stands, None where that is not on this machine (any more);
    `recorded_directory`: where it stood."""

    run_id: str
    name: str
    directory: Path | None
    recorded_directory: str
    client: MlflowClient

    def download(self, names: Sequence[str], folder: Path) -> None:
        """Files of the study into `folder`. **Raises** `InputError` where one was not recorded."""
        from mlflow.exceptions import MlflowException

        present = {file.path for file in self.client.list_artifacts(self.run_id)}
        for name in names:
            if name not in present:
                remedy = "the study may have ended without a feasible design, or its record is not complete yet"
                raise InputError(f"the run has no {name}", key="run", value=self.run_id, remedy=remedy)
            try:
                self.client.download_artifacts(self.run_id, name, str(folder))
            except (MlflowException, OSError) as error:
                remedy = "look whether the store's artifacts are still where they were"
                raise InputError(
                    f"{name} cannot be read: {error}", key="run", value=self.run_id, remedy=remedy
                ) from None


def tracked_study(run_id: str, address: str) -> TrackedStudy:
    """The study that is recorded under a run id, or under the id of one of its starts.

    **Raises** `InputError` where the store cannot be read or has no such study.
    """
    run, client = _run(run_id, address)
    tags: dict[str, Any] = run.data.tags
    parent = tags.get("mlflow.parentRunId")
    if parent is not None:
        return tracked_study(parent, address)
    if "study" not in tags:
        raise InputError("is not the run of a study", key="run", value=run_id, remedy="name one that studio made")
    place = Path(tags["directory"])
    # A directory of the same name may hold another study by now.
    here = place if place.is_dir() and Register(place).study == tags["study"] else None
    return TrackedStudy(run_id, place.name, here, f"{tags['directory']} on {tags['host']}", client)


def _run(run_id: str, address: str) -> tuple[Any, MlflowClient]:
    configure()
    where = "name the store with --tracking-uri"
    path = sqlite_file(address)
    if path is not None and not path.is_file():
        raise InputError("there is no such tracking store", key="tracking-uri", value=address, remedy=where)
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    store = Store(address)
    try:
        store.check()
        client = store.client()
        return client.get_run(run_id), client
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise InputError(f"no run of that id at {shown(address)}", key="run", value=run_id, remedy=where) from None
        problem = f"cannot be read: {str(error).splitlines()[0]}"
    except Exception as error:  # drivers of databases raise what they like
        problem = f"cannot be read: {str(error).splitlines()[0]}"
    raise InputError(problem, key="tracking-uri", value=shown(address), remedy=where)
