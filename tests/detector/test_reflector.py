"""What surfaces reflect: R_s(c) = r₀ + (1 − r₀)(1 − c)⁵ into the lobe, (1 − R_s) · diffuse besides; what is none is refused.

Formulas are evaluated again in numpy: agreement to arithmetic, 1e-12.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import studio
from studio import Detector, InputError, PhotosensorArray, Sphere, Water, sensor_type
from studio.detector import Reflector, black_sheet, tyvek
from studio.units import deg, m
from tests.tanks import cylinder

TYPES = (sensor_type("r14374_3_inch"), sensor_type("multi_pmt_19"))
UV = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def sensors(glass, types=TYPES, kind=(0, 1, 1)):
    return PhotosensorArray(UV, np.zeros(3, int), types, np.array(kind), glass=glass)


@pytest.mark.parametrize(("specular", "diffuse"), [(0.0, 0.0), (0.05, 0.4), (0.3, 1.0), (1.0, 0.7)])
def test_the_reflectance_is_schlicks_and_what_is_left_diffuse(specular, diffuse):
    cosine = np.linspace(0, 1, 11)
    lobe = specular + (1 - specular) * (1 - cosine) ** 5
    found = np.asarray(Reflector(specular, diffuse, 0.1).reflectance(jnp.asarray(cosine)))
    assert found == pytest.approx(lobe + (1 - lobe) * diffuse, abs=1e-12)
    assert found[0] == pytest.approx(1.0, abs=1e-12)  # what grazes is reflected
    assert np.all(found <= 1 + 1e-12)


@pytest.mark.parametrize("surface", [black_sheet(), tyvek(), Reflector(0.0, 0.0, 1.0)])
def test_the_albedo_is_the_mean_over_light_from_everywhere(surface):
    """∫₀¹ 2c R(c) dc: of degree 6, exact with 4 Gauss–Legendre nodes."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    cosine = (nodes + 1) / 2
    mean = np.sum(weights / 2 * 2 * cosine * np.asarray(surface.reflectance(jnp.asarray(cosine))))
    assert float(surface.albedo) == pytest.approx(mean, abs=1e-12)


def test_sheets_reflect_the_published_part_at_normal_incidence():
    """Black sheet 4.5 to 6 % between 300 and 600 nm (WCSim); Tyvek 90 %. The printed digits."""
    assert 0.045 <= float(black_sheet().reflectance(jnp.asarray(1.0))) <= 0.06
    assert float(tyvek().reflectance(jnp.asarray(1.0))) == pytest.approx(0.90, abs=0.005)
    assert float(tyvek().specular) < 0.2  # nearly all of it diffuse
    assert float(black_sheet(diffuse=0.10).diffuse) == 0.10


@pytest.mark.parametrize("cosine", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("specular", [0.0, 1.0])
def test_derivatives_are_right_and_finite_at_the_edges(specular, cosine):
    """dR/dr₀ = (1 − (1 − c)⁵)(1 − d) and dR/dd = 1 − R_s."""
    surface = Reflector(specular, 0.4, 0.1)
    slope = eqx.filter_grad(lambda one: one.reflectance(jnp.asarray(cosine)))(surface)
    share = (1 - cosine) ** 5
    assert float(slope.specular) == pytest.approx((1 - share) * 0.6, abs=1e-12)
    assert float(slope.diffuse) == pytest.approx(1 - specular - (1 - specular) * share, abs=1e-12)
    assert float(slope.lobe) == 0


@pytest.mark.parametrize(
    ("leaves", "words"),
    [
        ((-0.1, 0.5, 0.1), ("reflector.specular", "between 0 and 1", "-0.1")),
        ((1.5, 0.5, 0.1), ("reflector.specular", "1.5", "normal incidence")),
        ((0.1, 1.01, 0.1), ("reflector.diffuse", "1.01", "albedo")),
        ((0.1, float("nan"), 0.1), ("reflector.diffuse", "nan")),
        ((0.1, 0.5, 0.0), ("reflector.lobe", "0.01 to 1", "rad")),
        ((0.1, 0.5, 10.0), ("reflector.lobe", "10.0")),
        ((0.1, 0.5, float("inf")), ("reflector.lobe", "inf")),
        (([0.1, 1.2], [0.5, 0.5], [0.1, 0.1]), ("reflector.specular", "1.2")),
        (([0.1, 0.2], 0.5, [0.1, 0.1]), ("reflector.diffuse", "shape ()", "alike")),
    ],
)
def test_what_is_no_surface_is_refused(leaves, words):
    with pytest.raises(InputError) as caught:
        Reflector(*leaves)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.remedy


def test_traced_numbers_are_trusted():
    """Bounds hold them; a check would fail where it is traced."""
    assert float(jax.jit(lambda x: Reflector(x, x, x).reflectance(jnp.asarray(1.0)))(2.0)) == 0.0  # 2 + (1 − 2) · 2


def test_plain_numbers_have_the_default_type_and_replacing_them_keeps_it():
    surface = Reflector(0, 0.5, 10 * deg)
    for leaf in jax.tree.leaves(surface):
        assert leaf.dtype == jnp.result_type(float)
        assert not leaf.weak_type
    changed = studio.replace({"wall": surface}, {"wall.lobe": 0.2})["wall"]
    assert jax.tree.map(jnp.result_type, surface) == jax.tree.map(jnp.result_type, changed)


def test_one_glass_stands_for_all_types():
    glass = sensors(Reflector(0.02, 0.1, 0.05)).glass
    assert glass is not None
    assert [leaf.tolist() for leaf in jax.tree.leaves(glass)] == [[0.02, 0.02], [0.1, 0.1], [0.05, 0.05]]


def test_glass_has_an_entry_for_each_type():
    with pytest.raises(InputError, match=r"sensors\.glass: shape \(3,\) for 2 types.*one entry a sensor type"):
        sensors(Reflector([0.1] * 3, [0.1] * 3, [0.1] * 3))


def test_a_wall_has_one_finish():
    with pytest.raises(InputError, match=r"wall: shape \(2,\) where the wall has one finish.*three numbers"):
        Detector(Sphere(2 * m), Water(), sensors(None), wall=Reflector([0.1] * 2, [0.1] * 2, [0.1] * 2))


def test_every_number_is_a_leaf_that_can_be_replaced():
    tank = Detector(Sphere(2 * m), Water(), sensors(Reflector(0.02, 0.1, 0.05)), wall=tyvek())
    paths = {f"{place}.{name}" for place in ("wall", "sensors.glass") for name in ("specular", "diffuse", "lobe")}
    assert paths <= set(studio.leaf_paths(tank))
    changed = studio.replace(tank, {"wall.specular": 0.3, "sensors.glass.diffuse": [0.2, 0.4]})
    assert float(studio.get(changed, "wall.specular")) == 0.3
    assert studio.get(changed, "sensors.glass.diffuse").tolist() == [0.2, 0.4]
    bare = cylinder()
    assert not any(path.startswith(("wall", "sensors.glass")) for path in studio.leaf_paths(bare))


def test_chosen_sensors_keep_their_glass():
    full = sensors(Reflector([0.1, 0.2], [0.3, 0.4], [0.5, 0.6]))
    kept = full.chosen(np.array([2]))
    assert eqx.tree_equal(kept.glass, full.glass)
