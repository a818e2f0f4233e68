"""Small detectors for tests: a few dozen sensors, so that compilation is most of the time."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from studio import Cylinder, Detector, PhotosensorArray, Primary, Sphere, Water, sensor_type
from studio._arrays import in_precision
from studio.detector import SensorType, TimeResolution, layouts
from studio.units import m, mm, ns

# The smallest extinction that is still a number: 1e15 m.
TRANSPARENT = Water(1e15 * m, 1e15 * m)


def plain_sensor(radius=174.0 * mm, resolution=1.0 * ns, charge_spread=0.1) -> SensorType:
    """A sensor without dark counts and with a constant time resolution."""
    return SensorType(
        name="plain",
        radius=radius,
        efficiency_column="r14374_3_inch",
        efficiency_factor=1.0,
        charge_spread=charge_spread,
        time_resolution=TimeResolution(floor=resolution, offset=resolution, stochastic=0.0),
        dark_rate=0.0,
        source="test",
    )


def cylinder(
    radius=1.5 * m, height=3.0 * m, spacing=0.7 * m, kind: SensorType | None = None, medium: Water | None = None
) -> Detector:
    """A tank with a grid of modules: 70 sensors by default."""
    kind = sensor_type("multi_pmt_19") if kind is None else kind
    volume = Cylinder(radius, height)
    layout = layouts.grid(volume, spacing, kind.radius)
    return Detector(volume, Water() if medium is None else medium, PhotosensorArray(layout.uv, layout.patch, (kind,)))


def sphere(radius: float, count: int, kind: SensorType, coverage: float = 1.0, medium: Water = TRANSPARENT) -> Detector:
    """A sphere whose `count` Fibonacci sensors together take up `coverage` of the full solid angle from the centre."""
    # Each sees 2π (1 − cos α), tan α = a/R: coverage = N (1 − cos α) / 2.
    cosine = 1 - 2 * coverage / count
    layout = layouts.fibonacci(Sphere(radius), count)
    radii = np.full(count, radius * np.sqrt(1 / cosine**2 - 1))
    return Detector(Sphere(radius), medium, PhotosensorArray(layout.uv, layout.patch, (kind,), radius=radii))


def muon(energy=300.0, vertex=(100.0, 50.0, -300.0), direction=(1.0, 0.2, 0.1)) -> Primary:
    """A muon that stays in the default cylinder."""
    return Primary("mu-", vertex, direction, energy)


def single(tree):
    """Every float in single precision."""
    return in_precision(jnp.float32, tree)
