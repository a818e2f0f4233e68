"""Sources of direct light, as the transport sees them, and what each gives to each sensor.

A source is a set of pieces. Every piece sees every sensor: light × angular density × solid angle × transmission ×
efficiency. The angular density towards a sensor is averaged over the sensor's face, over dispersion, over multiple
scattering and over the piece's own length, so it is smooth in everything and right at any distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from ...constants import SPEED_OF_LIGHT
from .face import blurred_step, disc_solid_angle, held_below_one
from .spectrum import Colour, DistanceTable, Moments


class Sensors(NamedTuple):
    """A chunk of sensors: `position (n, 3)`, `normal (n, 3)`, `radius (n,)`, and `kind (n,)`, index of the type."""

    position: Float[Array, "n 3"]
    normal: Float[Array, "n 3"]
    radius: Float[Array, " n"]
    kind: Array


class Light(NamedTuple):
    """Light from pieces on sensors, `(n, pieces)` each: `charge` in photoelectrons; `start`: emission time in ns, moved by
    what the angle says about colour and place on the face; `distance` travelled in mm; `over_face`: variance in mm² of
    the path to the points of the face, and `unsorted`: share of the colours' variance, that the angle leaves open."""

    charge: Float[Array, "n pieces"]
    start: Float[Array, "n pieces"]
    distance: Float[Array, "n pieces"]
    over_face: Float[Array, "n pieces"]
    unsorted: Float[Array, "n pieces"]


class Spread(NamedTuple):
    """How far real tracks stray from the mean one at each piece or node, `(n,)` each.

    `angle`: variance in rad² of the direction per plane; `covariance` in mm rad of direction and sideways displacement;
    `displacement`: variance in mm² of the displacement; `lag`: mean distance in mm by which tracks fall behind along
    the axis because they wind.
    """

    angle: Float[Array, " n"]
    covariance: Float[Array, " n"]
    displacement: Float[Array, " n"]
    lag: Float[Array, " n"]


class Sight(NamedTuple):
    """How pieces and sensors see each other, `(n, pieces)` each.

    `distance` in mm; `facing`: cosine between the sensor's normal and the way back to the piece; `cosine`: cosine of
    the angle under which the piece sends light, averaged over the face to second order in size / distance;
    `face_variance`, `face_third`: variance and third central moment of that cosine over the face; `sine_squared`: of the
    angle at the face's centre; `along_normal`: cosine between the emitting direction and the sensor's normal;
    `path_covariance`: covariance in mm of that cosine and the path over the face.
    """

    distance: Float[Array, "n pieces"]
    facing: Float[Array, "n pieces"]
    cosine: Float[Array, "n pieces"]
    face_variance: Float[Array, "n pieces"]
    face_third: Float[Array, "n pieces"]
    sine_squared: Float[Array, "n pieces"]
    along_normal: Float[Array, "n pieces"]
    path_covariance: Float[Array, "n pieces"]


def sight(sensors: Sensors, position: Float[Array, "pieces 3"], direction: Float[Array, "pieces 3"]) -> Sight:
    """Geometry between pieces at `position` emitting around `direction` and every sensor.

    Over a disc of radius a the offset q has ⟨q qᵀ⟩ = a²/4 P, P the projector on its plane. With r̂ the line of sight
    and t the direction, cos θ = t·r̂ has the gradient (t − cos θ r̂)/d, which gives the variance, and the second-order
    mean, weighted by the intensity ∝ 1 − 3 q·r̂/d, is a²/4d² (−4 t·P·r̂ + cos θ (4.5 r̂·P·r̂ − 1)). With ⟨q q q q⟩ =
    a⁴/24 (P P + P P + P P) the third central moment is a⁴/16d⁴ (2 g·H·g − |g|² tr H / 2 + 3 |g|² g·r̂), g being the
    gradient and H the second derivative of cos θ, times d and d², in the plane.
    """
    rx, ry, rz = (sensors.position[:, None, i] - position[None, :, i] for i in range(3))
    distance = jnp.sqrt(rx * rx + ry * ry + rz * rz)
    inverse = 1 / distance
    tx, ty, tz = (direction[None, :, i] for i in range(3))
    nx, ny, nz = (sensors.normal[:, None, i] for i in range(3))
    cosine = (rx * tx + ry * ty + rz * tz) * inverse
    facing = -(rx * nx + ry * ny + rz * nz) * inverse
    along_normal = tx * nx + ty * ny + tz * nz
    # Nearer than a radius the expansion in size / distance is held at its value there.
    scale = 0.25 * held_below_one((sensors.radius[:, None] * inverse) ** 2)
    in_plane = 1 - facing * facing
    mixed = cosine + along_normal * facing
    shift = -4 * mixed + cosine * (4.5 * in_plane - 1)
    # |P(t − cos θ r̂)|², P removing the normal component
    gradient = 1 - cosine * cosine - (along_normal + cosine * facing) ** 2
    variance = scale * jnp.maximum(gradient, 0.0)
    # r̂·P·g and t·P·g with g = t − cos θ r̂, and the trace and the gg element of the second derivative of cos θ
    along = facing * (cosine * facing + along_normal)
    across = 1 - along_normal * along_normal - cosine * mixed
    trace = -2 * mixed + cosine * (3 * in_plane - 2)
    bent = -2 * along * across + cosine * (3 * along * along - gradient)
    third = scale * scale * (2 * bent + gradient * (3 * along - 0.5 * trace))
    return Sight(
        distance,
        facing,
        cosine + scale * shift,
        variance,
        third,
        1 - cosine * cosine,
        along_normal,
        scale * distance * along,
    )


def scattered(view: Sight, spread: Spread) -> tuple[Float[Array, "n pieces"], ...]:
    """Mean shift, variance and third central moment of cos θ over the scattered tracks, weighted by the light each sends
    to the sensor.

    To second order in the direction's change δt and the displacement δx, with r̂⊥ the line of sight across the track:
    δ cos θ = r̂⊥·(δt + cos θ δx/d) has the variance; the mean has the curvature of cos θ in both, the lag along the
    axis, and the correlation of δ cos θ with the intensity h/d³ of the displaced light. The angle θ itself is Gaussian to
    this order, with variance v, so cos θ has the third moment −3 cos θ sin²θ v².
    """
    inverse = 1 / view.distance
    cosine, squared = view.cosine, view.sine_squared
    covariance = spread.covariance * inverse
    displacement = spread.displacement * inverse**2
    lever = covariance + cosine * displacement
    in_plane = spread.angle + covariance * cosine + cosine * lever
    variance = squared * in_plane + spread.angle**2
    third = -3 * cosine * squared * in_plane**2
    curvature = -cosine * spread.angle - covariance * (1 + cosine**2) + displacement * cosine * (1.5 * squared - 1)
    intensity = lever * (3 * squared - 1 - cosine * view.along_normal / jnp.maximum(view.facing, 0.05))
    return curvature + intensity + squared * spread.lag * inverse, variance, third


class ConeTrack(eqx.Module):
    """A curve that emits a thin Cherenkov cone; its segments are the pieces.

    **Fields**, at the segment ends `(nodes, ...)`: `position` in mm, `direction`, `time` in ns, `beta`; `spread` of real
    tracks there.
    """

    position: Float[Array, "nodes 3"]
    direction: Float[Array, "nodes 3"]
    time: Float[Array, " nodes"]
    beta: Float[Array, " nodes"]
    spread: Spread

    def light(self, sensors: Sensors, colours: tuple[Colour, ...]) -> Light:
        """Charge, emission time and distance for every segment and sensor.

        A segment's light towards a sensor is ∫ ds δ(cos θ(s) − 1/nβ)/2π, blurred: the difference of the blurred step
        between the segment's ends over the difference of its argument, so the length of a segment does not show in it;
        only the slowly varying factors are taken at the middle. `colours` holds one `Colour` a sensor type, its light
        per segment and its index per node.
        """
        view = sight(sensors, self.position, self.direction)
        index = select_moments(sensors.kind, tuple(c.inverse_index for c in colours), view.distance)
        inverse_beta = 1 / self.beta
        shift, blur, third = scattered(view, self.spread)
        argument = index[0] * inverse_beta - view.cosine - shift
        dispersion = index[1] * inverse_beta**2
        face, other = _middles(view.face_variance) + 1e-9, _middles(dispersion + blur)
        third = _middles(view.face_third + third - index[2] * inverse_beta**3)
        density = _mean_density(argument[:, :-1], argument[:, 1:], face, other, third)
        middle = _middles(self.position.T).T
        length = jnp.sqrt(jnp.sum((self.position[1:] - self.position[:-1]) ** 2, axis=-1))
        log_light, distance, solid_angle, over_face = _seen(sensors, middle, colours)
        charge = length * jnp.exp(log_light) * solid_angle * density / (2 * math.pi)
        # Light that arrives `surplus` off the mean cone is of another colour and on another part of the face: the
        # regression of both on it.
        blurred = face + other
        surplus = _middles(argument) / blurred
        of_colour, of_path = _middles(dispersion), _middles(view.path_covariance)
        group_index = per_type(sensors.kind, [c.group_index for c in colours])
        group_slope = per_type(sensors.kind, [c.group_slope for c in colours])
        colour_shift = -surplus * of_colour / _middles(inverse_beta)
        late = distance * group_slope * colour_shift + group_index * surplus * of_path
        start = _middles(self.time) + late / SPEED_OF_LIGHT
        return Light(charge, start, distance, over_face - of_path**2 / blurred, 1 - of_colour / blurred)


def _middles(values: Float[Array, "*n nodes"]) -> Float[Array, "*n pieces"]:
    return 0.5 * (values[..., 1:] + values[..., :-1])


def _mean_density(first: Array, last: Array, face_variance: Array, other_variance: Array, third: Array) -> Array:
    """Mean over [`first`, `last`] of the density whose cumulative is `blurred_step`.

    An interval narrower than 2 % of the blur is widened to it, where the difference would drown in rounding: that
    changes the mean by (0.02)²/24 at most.
    """
    middle, width = 0.5 * (first + last), jnp.abs(last - first)
    width = jnp.maximum(width, 0.02 * jnp.sqrt(face_variance + other_variance))
    ends = middle + 0.5 * width * jnp.asarray([-1.0, 1.0], width.dtype)[:, None, None]
    low, high = blurred_step(ends, face_variance, other_variance, third)
    return (high - low) / width


class BroadSource(eqx.Module):
    """Pieces whose angular profile is broad: a mixture of Gaussians in cos θ; showers and δ rays.

    **Fields** `(pieces, ...)`: `position` of the middles in mm, `direction`, `time` in ns, `extent (pieces, 3)`: vector
    from one end of the piece to the other, `length`: equivalent length in mm of light, `weights (pieces, c)`, on a basis
    of `centres (c,)` and `sigmas (c,)` in cos θ, and the `spread` of real tracks.
    """

    position: Float[Array, "pieces 3"]
    direction: Float[Array, "pieces 3"]
    time: Float[Array, " pieces"]
    extent: Float[Array, "pieces 3"]
    length: Float[Array, " pieces"]
    weights: Float[Array, "pieces c"]
    centres: Float[Array, " c"]
    sigmas: Float[Array, " c"]
    spread: Spread

    def light(self, sensors: Sensors, colours: tuple[Colour, ...]) -> Light:
        """Charge, emission time and distance for every piece and sensor; `colours` of the β = 1 spectrum per type."""
        view = sight(sensors, self.position, self.direction)
        log_light, distance, solid_angle, over_face = _seen(sensors, self.position, colours)
        index = select_moments(sensors.kind, tuple(c.inverse_index for c in colours), distance)
        shift, blur, _ = scattered(view, self.spread)
        variance = view.face_variance + blur + self._piece_variance(view) + index[1]
        # All cones move with 1/n as that of a track with β = 1.
        cosine = view.cosine + shift - (index[0] - colours[0].reference)
        total = self.sigmas**2 + variance[..., None]
        gaussians = jnp.exp(-0.5 * (cosine[..., None] - self.centres) ** 2 / total) / jnp.sqrt(2 * math.pi * total)
        density = jnp.sum(self.weights / self._mass() * gaussians, axis=-1)
        charge = self.length * jnp.exp(log_light) * solid_angle * density / (2 * math.pi)
        start = jnp.broadcast_to(self.time, charge.shape)
        return Light(charge, start, distance, over_face, jnp.ones_like(charge))

    def _mass(self) -> Float[Array, " c"]:
        """Part of each Gaussian of the basis that lies on [−1, 1], where it is normalised."""
        return ndtr((1 - self.centres) / self.sigmas) - ndtr((-1 - self.centres) / self.sigmas)

    def _piece_variance(self, view: Sight) -> Float[Array, "n pieces"]:
        """Variance of cos θ over a piece's length: it changes by −sin²θ ℓ/d from one end to the other."""
        squared = jnp.sum(self.extent**2, axis=-1)
        return view.sine_squared**2 * squared / (12 * view.distance**2)


class IsotropicSource(eqx.Module):
    """Points that emit evenly in all directions: `position (pieces, 3)`, `time (pieces,)`, `photons (pieces,)`."""

    position: Float[Array, "pieces 3"]
    time: Float[Array, " pieces"]
    photons: Float[Array, " pieces"]

    def light(self, sensors: Sensors, colours: tuple[Colour, ...]) -> Light:
        """Charge, emission time and distance for every piece and sensor; `colours` of the spectrum per photon."""
        log_light, distance, solid_angle, over_face = _seen(sensors, self.position, colours)
        charge = self.photons * jnp.exp(log_light) * solid_angle / (4 * math.pi)
        return Light(charge, jnp.broadcast_to(self.time, charge.shape), distance, over_face, jnp.ones_like(charge))


def _seen(sensors: Sensors, position: Array, colours: tuple[Colour, ...]) -> tuple[Array, Array, Array, Array]:
    """Log of light after transmission, distance, solid angle, and variance of the path over the face, r²/4 sin² of the
    incidence, `(n, pieces)` for pieces at `position`."""
    rx, ry, rz = (position[None, :, i] - sensors.position[:, None, i] for i in range(3))
    nx, ny, nz = (sensors.normal[:, None, i] for i in range(3))
    height = rx * nx + ry * ny + rz * nz
    squared = rx * rx + ry * ry + rz * rz
    distance = jnp.sqrt(squared)
    solid_angle = disc_solid_angle(height, squared - height**2, sensors.radius[:, None])
    log_light = select(sensors.kind, tuple(colour.log_light for colour in colours))(distance)
    return log_light, distance, solid_angle, (0.5 * sensors.radius[:, None]) ** 2 * (1 - height**2 / squared)


def per_type(kind: Array, values: list[Float[Array, ""]]) -> Float[Array, "n 1"]:
    """The value of each sensor's own type."""
    return jnp.stack(values)[kind][:, None]


def select(kind: Array, tables: tuple[DistanceTable, ...]) -> Callable[[Float[Array, "n ..."]], Float[Array, "n ..."]]:
    """One function of distance that answers by each sensor's own type."""

    def value(distance: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
        found = tables[0](distance)
        for index, table in enumerate(tables[1:], start=1):
            found = jnp.where((kind == index).reshape(-1, *(1,) * (found.ndim - 1)), table(distance), found)
        return found

    return value


def select_moments(
    kind: Array, moments: tuple[Moments, ...], distance: Float[Array, "n ..."]
) -> tuple[Float[Array, "n ..."], Float[Array, "n ..."], Float[Array, "n ..."]]:
    """Mean, variance and third central moment at `distance`, by each sensor's own type."""
    mean, variance, third = (select(kind, tables)(distance) for tables in zip(*moments, strict=True))
    return mean, variance, third
