"""What Ray costs and gains, one JSON line a case on standard output.

    python tests/benchmarks/runners.py                          # speed_up and overhead
    python tests/benchmarks/runners.py --case memory --steps 200

- `speed_up`: the quickstart's objective and gradient in shards of one event, on one and two workers of Ray, and in one and two
  processes that know nothing of each other and share the same shards out; the best of several turns, all in one run.
- `overhead`: time of a step whose shards cost nothing, on Ray and on this process's own runner.
- `memory`: a study of Super-Kamiokande with all tubes free on one worker, one event a step: the largest resident memory of
  driver, worker and everything Ray starts (added up over processes), after 10 steps, every 50 and near the last one,
  and to the end of the study, which judges the design on all events and draws pictures.

Needs the whole package. Programs are compiled once and kept in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARDS, TURNS = 24, 3


def start(programs):
    """JAX as a command of the studio starts it, with compiled programs kept in a folder."""
    from studio import _xla

    _xla.start()
    import jax

    jax.config.update("jax_compilation_cache_dir", programs)


def work():
    """The gradient of the quickstart's objective, and its shards."""
    import numpy as np

    from studio import paths
    from studio.study import read_experiment
    from studio.study.assembly import assemble
    from studio.study.objective_shards import Shard, ShardGradient, split_events

    file = read_experiment(ROOT / "experiments" / "quickstart.yaml").with_values(
        {"events.count": SHARDS, "optimiser.batch": SHARDS}
    )
    assembly = assemble(file)
    leaves = {path: paths.get(assembly.baseline, path) for path in assembly.experiment.free_paths}
    function = ShardGradient(assembly.objective, assembly.baseline)
    shares = np.full((1, len(assembly.objective.parts)), 1 / SHARDS)  # an event counts alike in every term
    pieces = [piece for group in assembly.groups for piece in split_events(group, 1)]
    return function, [Shard(leaves, *piece, shares=shares) for piece in pieces]


def independent(programs, number, of):
    """One of several processes that share the shards out: ready, then a turn for every line of standard input."""
    start(programs)
    function, shards = work()
    function(shards[0])
    print("ready", flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        for shard in shards[number::of]:
            function(shard)
        print(time.perf_counter() - begun, flush=True)


class Processes:
    """So many independent processes."""

    def __init__(self, programs, count):
        command = [sys.executable, __file__, "--independent", programs]
        self.all = [
            subprocess.Popen([*command, str(n), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for n in range(count)
        ]
        for process in self.all:
            assert process.stdout.readline().strip() == "ready"

    def turn(self):
        """Seconds of the slowest."""
        for process in self.all:
            print("go", file=process.stdin, flush=True)
        return max(float(process.stdout.readline()) for process in self.all)

    def close(self):
        for process in self.all:
            process.stdin.close()
            process.wait()


def speed_up(programs):
    from studio import RayRunner

    with (
        RayRunner(3),
        RayRunner(2) as two,
        RayRunner(1) as one,
    ):  # the first makes a cluster that has room for the others
        start(programs)
        function, shards = work()
        for runner in (one, two):
            runner.map(function, shards[:4])
        processes = {count: Processes(programs, count) for count in (1, 2)}
        times = {"ray_1": [], "ray_2": [], "processes_1": [], "processes_2": []}
        for _ in range(TURNS):
            for count, runner in ((1, one), (2, two)):
                begun = time.perf_counter()
                runner.map(function, shards)
                times[f"ray_{count}"].append(time.perf_counter() - begun)
                times[f"processes_{count}"].append(processes[count].turn())
        for found in processes.values():
            found.close()
    best = {name: min(values) for name, values in times.items()}
    ray, apart = best["ray_1"] / best["ray_2"], best["processes_1"] / best["processes_2"]
    return {"shards": SHARDS, **{f"{name}_s": round(value, 3) for name, value in best.items()}} | {
        "speed_up_ray": round(ray, 3),
        "speed_up_processes": round(apart, 3),
        "ratio": round(ray / apart, 3),
    }


def nothing(item):
    return item


def overhead(programs):
    from studio import LocalRunner, RayRunner

    found, rounds, shards = {}, 200, 16
    begun = time.perf_counter()
    with RayRunner(2) as ray:
        found["start_s"] = round(time.perf_counter() - begun, 2)
        start(programs)
        begun = time.perf_counter()
        ray.map(nothing, range(4))
        found["first_worker_s"] = round(time.perf_counter() - begun, 2)
        time.sleep(5)
        with LocalRunner(2) as local:
            for name, runner in (("ray", ray), ("local", local)):
                begun = time.perf_counter()
                for _ in range(rounds):
                    runner.map(nothing, range(shards))
                found[f"{name}_step_ms"] = round((time.perf_counter() - begun) / rounds * 1e3, 2)
    return {"shards_a_step": shards, **found}


EXPERIMENT = """
geometry: super_kamiokande
events: {{kind: gun, particle: mu-, kinetic_energy: 500 MeV, vertex: uniform, direction: isotropic, contained: true, count: 8}}
free: {{sensors.uv: {{}}}}
objective: [{{kind: vertex_resolution}}]
optimiser: {{kind: adam, learning_rate: 0.001, steps: {steps}, batch: 1, shard: 1}}
validation: {{events: 0}}
"""


def memory(programs, steps):
    with tempfile.TemporaryDirectory() as folder:
        experiment, out = Path(folder) / "memory.yaml", Path(folder) / "run"
        experiment.write_text(EXPERIMENT.format(steps=steps))
        command = [sys.executable, "-m", "studio", "optimise", str(experiment), "--out", str(out), "--runner", "ray"]
        command += ["--devices", "1", "--skip-gradient-check", "--quiet", "--tracking-uri", "none"]
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": programs, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        peaks, marks = {}, {}
        while process.poll() is None:
            for name, size in resident(process.pid).items():
                peaks[name] = max(peaks.get(name, 0), size)
            history = out / "history.jsonl"
            done = history.read_bytes().count(b"\n") - 1 if history.exists() else 0
            for mark in (10, *range(50, steps, 50), steps - 5):
                if done >= mark and mark not in marks:
                    marks[mark] = dict(peaks)
            time.sleep(0.5)
    return {"steps": steps, "exit": process.returncode, "after_steps_mb": marks, "with_pictures_mb": peaks}


def resident(root):
    """Resident memory in MB of the processes below one, by kind."""
    parents, names, sizes = {}, {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            names[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
        sizes[int(folder.name)] = int(fields[21]) * os.sysconf("SC_PAGESIZE") / 2**20
    family = [root]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid]
    found = {"driver": 0.0, "worker": 0.0, "ray": 0.0}
    for pid in family:
        kind = "driver" if pid == root else "worker" if names.get(pid, "").startswith("ray::Worker") else "ray"
        found[kind] += sizes.get(pid, 0.0)
    return {kind: round(size) for kind, size in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--case", choices=("speed_up", "overhead", "memory"), nargs="+", default=["speed_up", "overhead"]
    )
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--here", action="store_true", help="measure one case in this process")
    parser.add_argument("--independent", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    os.environ["PYTHONPATH"] = str(ROOT)
    if options.independent:
        programs, number, of = options.independent
        independent(programs, int(number), int(of))
        return
    if options.here:
        with tempfile.TemporaryDirectory() as programs:
            (case,) = options.case
            found = memory(programs, options.steps) if case == "memory" else CASES[case](programs)
        print(json.dumps({"case": case, **found, "device": f"{os.cpu_count()} cores"}))
        return
    for case in options.case:  # each in a process of its own: Ray is to start before JAX
        command = [sys.executable, __file__, "--here", "--case", case, "--steps", str(options.steps)]
        subprocess.run(command, check=True)


CASES = {"speed_up": speed_up, "overhead": overhead}


if __name__ == "__main__":
    main()
