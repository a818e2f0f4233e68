"""A study on a cluster of two nodes, of which one is killed midway."""

import threading
import time

import pytest
import ray
from ray.cluster_utils import Cluster

from studio import RayRunner, Study
from tests.stand_in import StandIn
from tests.study.studies import content, lines

pytestmark = pytest.mark.usefixtures("compilation_cache")


def test_a_node_that_dies_changes_nothing(reference, experiment, tmp_path):
    """Half of the workers go with the node; the other node finishes, and the numbers are those of one process."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        notes, places, killed = [], set(), threading.Event()
        with RayRunner(address=cluster.address, note=notes.append) as runner:
            assert runner.lanes == 2

            def kill() -> None:
                while lines(tmp_path / "run") < 5 or len(runner.workers) < 2:
                    time.sleep(0.01)
                places.update(facts.node for facts in runner.workers)
                cluster.remove_node(second, allow_graceful=False)
                killed.set()

            thread = threading.Thread(target=kill, daemon=True)
            thread.start()
            Study.from_file(experiment, physics=StandIn()).run(tmp_path / "run", runner=runner)
            assert killed.is_set(), "the study ended before the node was killed"
        assert len(places) == 2
        assert any("died" in note for note in notes)
        assert content(tmp_path / "run") == content(reference.directory)
    finally:
        ray.shutdown()
        cluster.shutdown()
