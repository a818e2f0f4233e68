"""Fisher information against a brute-force Jacobian, and its refusals."""

import functools
import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import studio
from studio import InputError, OpticalSimulator, Primary, StudioError, fisher_information
from studio.inference.likelihood import OpticalLikelihood
from studio.inference.parameters import groups_of, moved, names_of
from tests import tanks

pytestmark = pytest.mark.slow  # minutes on two cores: compilation and Monte Carlo

SIMULATOR = OpticalSimulator(segments=16, process=False)
EVENT = Primary("e-", (-200.0, 100.0, 400.0), (0.3, -1.0, 0.2), 120.0)


def measured(detector, event):
    return OpticalLikelihood().measured(detector, SIMULATOR.arrivals(detector, event))


@functools.cache
def brute_force():
    """All seven parameters by forward differentiation of what every sensor measures, in physical units."""
    detector, groups = tanks.cylinder(), groups_of(EVENT)
    change = jnp.zeros(len(names_of(groups)))

    def means(change):
        return jnp.stack([kind.mean for kind in measured(detector, moved(EVENT, groups, change))])

    jacobian = jax.jit(jax.jacfwd(means))(change)
    weight = jnp.stack([kind.information for kind in measured(detector, EVENT)])
    return names_of(groups), np.asarray(jnp.einsum("ksa,ks,ksb->ab", jacobian, weight, jacobian))


@functools.cache
def compiled(wanted, chunk=512):
    simulator = OpticalSimulator(segments=16, process=False, chunk=chunk)
    return eqx.filter_jit(lambda detector, event: fisher_information(simulator, detector, event, wanted))


EVERYTHING = ("vertex", "direction", "kinetic_energy", "time")


@pytest.mark.parametrize("chunk", [512, 16])
def test_information_is_the_sum_over_sensors_of_the_jacobian_squared(chunk):
    names, expected = brute_force()
    found = compiled(EVERYTHING, chunk)(tanks.cylinder(), EVENT)
    assert found.names == names
    scale = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(found.matrix / np.outer(scale, scale), expected / np.outer(scale, scale), atol=1e-9)


def test_left_out_parameters_are_marginalized():
    # The covariance of some parameters does not depend on which others are asked for.
    whole = np.linalg.inv(brute_force()[1])
    found = compiled(("direction", "kinetic_energy"))(tanks.cylinder(), EVENT)
    assert found.names == ("direction.1", "direction.2", "kinetic_energy")
    np.testing.assert_allclose(found.covariance(), whole[3:6, 3:6], rtol=1e-7)
    np.testing.assert_allclose(found.sigma() ** 2, found.crlb(), rtol=1e-12)


def test_nuisances_cost_information_and_a_sharp_prior_gives_it_back():
    detector = tanks.cylinder()

    def sigma(nuisance):
        return np.asarray(fisher_information(SIMULATOR, detector, EVENT, ("kinetic_energy",), nuisance).sigma())

    free, known = sigma(("sensors.efficiency",)), sigma({"sensors.efficiency": 1e-6})
    alone = np.asarray(compiled(("kinetic_energy",))(detector, EVENT).sigma())
    np.testing.assert_allclose(known, alone, rtol=1e-6)
    assert np.all(free > 1.05 * alone)


@pytest.mark.slow
def test_process_noise_adds_scattering_and_straggling_to_the_bound_of_a_muon():
    """In quadrature to photon statistics: the multiple-scattering floor of a direction, 0.5° to 1° for a whole track, and
    straggling, 2.6 % of the range."""
    sigmas = {}
    for process in (False, True):
        simulator = OpticalSimulator(segments=16, process=process, kink_modes=2)
        wanted = ("direction", "kinetic_energy")
        found = eqx.filter_jit(fisher_information)(simulator, tanks.cylinder(), tanks.muon(), wanted)
        sigmas[process] = np.asarray(found.sigma())
    added = np.sqrt(sigmas[True] ** 2 - sigmas[False] ** 2)
    assert np.all((np.rad2deg(added[:2]) > 0.5) & (np.rad2deg(added[:2]) < 1.3))
    assert 0.018 < added[2] / 300.0 < 0.032


def test_a_parameter_that_nothing_determines_is_named():
    # Intensity and efficiency scale every charge alike.
    detector = tanks.cylinder(medium=tanks.TRANSPARENT, kind=tanks.plain_sensor())
    event = Primary("point", (100.0, 0.0, 50.0), kinetic_energy=1.0)
    with pytest.raises(StudioError, match="kinetic_energy"):
        fisher_information(SIMULATOR, detector, event, ("vertex", "kinetic_energy"), ("sensors.efficiency",)).crlb()


def test_one_sensor_does_not_determine_a_vertex():
    detector = tanks.cylinder(spacing=10_000.0)
    one = studio.PhotosensorArray(detector.sensors.uv[:1], detector.sensors.patch[:1], detector.sensors.types)
    detector = eqx.tree_at(lambda d: d.sensors, detector, one)
    with pytest.raises(StudioError, match="do not determine (vertex|kinetic_energy)"):
        fisher_information(SIMULATOR, detector, Primary("point", kinetic_energy=1.0), ("vertex",)).crlb()


def test_unknown_and_meaningless_parameters_are_refused():
    with pytest.raises(InputError, match="kinetic_energy"):
        fisher_information(SIMULATOR, tanks.cylinder(), EVENT, ("energy",))
    with pytest.raises(InputError, match="direction"):
        fisher_information(SIMULATOR, tanks.cylinder(), Primary("point"), ("direction",))
    with pytest.raises(InputError, match="absorption_length"):
        fisher_information(SIMULATOR, tanks.cylinder(), EVENT, ("vertex",), ("medium.absorption",))


def test_single_precision_sessions_are_refused_with_the_remedy():
    code = (
        "from studio import OpticalSimulator, Primary, fisher_information\n"
        "try:\n    fisher_information(OpticalSimulator(), None, Primary('mu-'))\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "JAX_ENABLE_X64"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert found.stdout.startswith("StudioError")
    assert "jax_enable_x64" in found.stdout
