"""Event files of other programs in every chamber that ships: one JSON line a pair on standard output.

    python tests/benchmarks/chambers.py                       # all files below STUDIO_REFERENCE_DATA/events, all chambers
    python tests/benchmarks/chambers.py --chamber sbnd --file jaxtpc_muon

All deposits of a file together, put into the middle of the first drift volume: what lies inside, the part of the drifted charge that the
collection plane records (all of it times the planes' transparency, if nothing is lost in between), and seconds for the expected
waveforms and for a sample, compilation included.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def chambers() -> dict[str, Path]:
    """The geometry files of chambers that ship."""
    from studio.io.geometry import read_geometry
    from studio.io.tpc_models import TPCModel

    files = sorted((ROOT / "geometries").glob("*.yaml"))
    return {path.stem: path for path in files if isinstance(read_geometry(path)[1], TPCModel)}


def event_files() -> dict[str, Path]:
    """The event files of the reference data."""
    folder = Path(os.environ.get("STUDIO_REFERENCE_DATA", ROOT.parent / "shared" / "data")) / "events"
    return {path.name.partition(".")[0]: path for path in sorted(folder.rglob("*.*"))}


def collected(chamber, readout) -> float:
    """Electrons on the collection plane: the area of its pulses, from the gain of the electronics at zero frequency."""
    import jax.numpy as jnp

    electronics = chamber.electronics
    area = float(jnp.real(electronics.transfer(jnp.zeros(())))) / electronics.tick  # V an electron, summed over samples
    # From where the digitizer stands, not rounded: half a count in a million samples is a million electrons.
    counts = readout.planes[-1].values - electronics.counts(jnp.zeros(()))
    return float(jnp.sum(counts) * electronics.full_scale / (2**electronics.bits - 1)) / area


def pairs(chamber, files: list[Path]) -> Iterator[dict[str, object]]:
    """Files of about one size in one chamber, with windows that hold each of them: the first pays for compiling."""
    import jax

    from studio import TPCSimulator, centred, contained, read_deposits
    from studio.event import bucket_size

    events = [centred(chamber.volumes, read_deposits(file)) for file in files]
    size = bucket_size(max(event.count for event in events))
    padded = [event.padded(size) for event in events]
    simulator = TPCSimulator().fitted(chamber, padded)
    for file, event, deposits in zip(files, events, padded, strict=True):
        held = contained(chamber.volumes, event)
        begun = time.perf_counter()
        drifted = float(simulator.emit(chamber, deposits, None).electrons.sum())
        mean = simulator.expected(chamber, deposits)
        charge, between = collected(chamber, mean), time.perf_counter()
        sampled = collected(chamber, simulator.sample(chamber, deposits, jax.random.key(0)))
        yield {
            "file": file.name,
            "chamber": chamber.name,
            "deposits_inside": int(held.count),
            "deposits_outside": int(held.count_outside),
            "MeV_inside": round(float(held.energy), 2),
            "drifted_ke": round(drifted / 1000, 1),
            "collected_over_drifted": round(charge / drifted, 5),
            "sample_over_drifted": round(sampled / drifted, 4),
            "transparency": round(float(simulator.response(chamber).transparency), 5),
            "missed_by_windows": float(mean.outside),
            "seconds_expected": round(between - begun, 1),
            "seconds_sample": round(time.perf_counter() - between, 1),
        }


def main() -> None:
    """Runs the pairs that are asked for."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from studio import load_detector, read_deposits

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chamber", nargs="+", choices=sorted(chambers()), default=sorted(chambers()))
    parser.add_argument("--file", nargs="+", choices=sorted(event_files()), default=sorted(event_files()))
    arguments = parser.parse_args()
    for name in arguments.chamber:
        chamber = load_detector(chambers()[name])
        files = [event_files()[file] for file in arguments.file]
        by_size: dict[bool, list[Path]] = {}
        for file in files:
            by_size.setdefault(read_deposits(file).count > 1000, []).append(file)
        for group in by_size.values():
            for line in pairs(chamber, group):
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
