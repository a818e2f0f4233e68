"""Published event files run end to end in a chamber that ships; all of them in all chambers: tests/benchmarks/chambers.py.

What the collection wires hold is what drifted to them: field responses collect 1 within 2e-3 (their integrals in test_field_response), and
SBND's planes let all charge through. What drifted is, by hand, Σ energy / W · survival(dE/dx of each deposit) · exp(−t/τ).
"""

import jax.numpy as jnp
import numpy as np
import pytest

import studio
from tests.reference_data import reference

FILES = ("events/edepsim/input_2.h5", "events/jaxtpc_muon.h5")


@pytest.mark.parametrize("name", FILES)
def test_the_charge_of_a_file_reaches_the_collection_wires(name):
    sbnd = studio.load_detector("geometries/sbnd.yaml")
    file = reference(name)
    events = studio.io.deposit_events(file)
    event = studio.centred(sbnd.volumes, studio.read_deposits(file, events[0]))
    held = studio.contained(sbnd.volumes, event)
    assert int(held.count_outside) == 0
    simulator = studio.TPCSimulator(bins=4, around=3)
    found = simulator.expected(sbnd, event.padded())

    energy, length = np.asarray(event.energy), np.asarray(event.length)
    loss = np.where(length > 0, 10 * energy / np.where(length > 0, length, 1), 2.1)  # MeV/cm
    xi = 0.212 * loss / (0.5 * 1.391105)
    drift = (np.asarray(event.position)[:, 0] + 2000) / 1.594e-3  # ns, to the anode at x = −2 m
    electrons = energy / 23.6e-6 * np.log(0.93 + xi) / xi * np.exp(-drift / 1e7)

    electronics = sbnd.electronics
    area = float(jnp.real(electronics.transfer(jnp.zeros(())))) / electronics.tick
    counts = float(jnp.sum(found.planes[-1].values - found.pedestal))
    collected = counts * float(electronics.full_scale) / (2**electronics.bits - 1) / area
    assert collected == pytest.approx(electrons.sum(), rel=3e-3)
    assert float(found.outside) < 1e-6
