"""The programs that studies of an optical detector spend their time in: one JSON line each, for one muon in IWCD.

    python tests/benchmarks/programs.py                  # as the studio's commands run them
    python tests/benchmarks/programs.py --plain          # as XLA compiles them by itself
    python tests/benchmarks/programs.py --program slope

`expected`: charges and times; `slope`: value and gradient of the log likelihood, a step of a fit; `doubt`: the same of the fit
with few segments that comes before; `information`: the matrix of a fit; in single precision, as fits run. `objective`: mean
log σ and its derivative by all positions, in double precision, as studies run. Each in a process of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("expected", "slope", "doubt", "information", "objective")
SECONDS = 3.0  # of repetitions


def workload(program):
    """A function and its arguments."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    import studio
    from studio._arrays import in_precision
    from studio.inference import optical_reconstruction as fits
    from studio.study.optical import fitting

    simulator = studio.OpticalSimulator()
    detector = studio.load_detector(ROOT / "geometries" / "iwcd.yaml")
    event = studio.Primary(
        "mu-", jnp.asarray([-900.0, 400.0, 700.0]), jnp.asarray([0.9, 0.3, -0.2]), jnp.asarray(520.0)
    )
    readout = jax.jit(simulator.sample)(detector, event, jax.random.key(1))
    if program == "objective":

        def objective(uv, detector, event):
            moved = studio.replace(detector, {"sensors.uv": uv})
            nuisance = {"medium.absorption_length": 0.1, "sensors.efficiency": 0.05}
            return jnp.mean(jnp.log(studio.fisher_information(simulator, moved, event, nuisance=nuisance).sigma()))

        return jax.value_and_grad(objective), (detector.sensors.uv, detector, event)
    detector, readout, event = in_precision(jnp.float32, (detector, readout, event))
    if program == "expected":
        return lambda detector, event: simulator.expected(detector, event), (detector, event)
    fitter = fits._Fitter(dataclasses.replace(fitting(simulator), resolved=True), "mu-", 20.0)
    doubt = program == "doubt"
    used = fitter.coarse if doubt else fitter.simulator
    latents = jnp.full(0 if doubt else used.latent_count(event), 0.1, jnp.float32)

    def step(detector, readout, event, latents):
        problem = fits._problem(used, detector, readout, event, with_latents=not doubt)
        return (problem.information if program == "information" else problem.slope)((event, latents))

    return eqx.filter_jit(step), (detector, readout, event, latents)


def measure(program):
    import equinox as eqx
    import jax

    jax.config.update("jax_enable_x64", True)
    function, arguments = workload(program)
    begun, cpu = time.perf_counter(), time.process_time()
    compiled = eqx.filter_jit(function).lower(*arguments).compile()
    compile_time, compile_cpu = time.perf_counter() - begun, time.process_time() - cpu
    jax.block_until_ready(compiled(*arguments))
    times = []
    while sum(times) < SECONDS:
        begun = time.process_time()
        jax.block_until_ready(compiled(*arguments))
        times.append(time.process_time() - begun)
    return {
        "program": program,
        "cpu_ms": round(1e3 * statistics.median(times), 2),
        "compile_s": round(compile_time, 1),
        "compile_cpu_s": round(compile_cpu, 1),
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", choices=PROGRAMS, nargs="+", default=PROGRAMS)
    parser.add_argument("--plain", action="store_true", help="without the studio's compiler flags")
    parser.add_argument("--here", action="store_true", help="measure one program in this process")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if options.here:
        from studio import _xla

        if not options.plain:
            _xla.prepare()
        print(json.dumps(measure(options.program[0]) | {"plain": options.plain}))
        return 0
    failed = 0
    for program in options.program:
        command = [sys.executable, __file__, "--here", "--program", program, *(["--plain"] if options.plain else [])]
        outcome = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        failed += outcome.returncode != 0
        print(outcome.stdout.strip() or json.dumps({"program": program, "exit": outcome.returncode}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
