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
import numpy as np
from jaxtyping import Array, Float
from scipy.special import ndtr

from ...constants import SPEED_OF_LIGHT
from .face import blurred_density, blurred_part, disc_solid_angle, held_below_one
from .spectrum import Colour, DistanceTable, Moments

# Width in cos θ below which a Gaussian of a broad profile is a peak.
_PEAK = 0.04
# mm²: variance of the paths to a face below which it is as good as none, as on the face's axis.
_FLAT = 1e-3


class Sensors(NamedTuple):
    """A chunk of sensors: `position (n, 3)`, `normal (n, 3)`, `radius (n,)`, `kind (n,)`, index of the type,
    `weight (n,)`, and `index (n,)` among all sensors."""

    position: Float[Array, "n 3"]
    normal: Float[Array, "n 3"]
    radius: Float[Array, " n"]
    kind: Array
    weight: Float[Array, " n"]
    index: Array


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

    `distance` in mm; `solid_angle` of the face in sr; `over_face`: variance in mm² of the path to its points; `facing`:
    cosine between the sensor's normal and the way back to the piece; `cosine`: cosine of the angle under which the piece
    sends light, averaged over the face; `face_variance`, `face_third`: variance and third central moment of that cosine
    over the face; `sine_squared`: of the angle at the face's centre; `along_normal`: cosine between the emitting
    direction and the sensor's normal; `path_covariance`: covariance in mm of that cosine and the path over the face.
    """

    distance: Float[Array, "n pieces"]
    solid_angle: Float[Array, "n pieces"]
    over_face: Float[Array, "n pieces"]
    facing: Float[Array, "n pieces"]
    cosine: Float[Array, "n pieces"]
    face_variance: Float[Array, "n pieces"]
    face_third: Float[Array, "n pieces"]
    sine_squared: Float[Array, "n pieces"]
    along_normal: Float[Array, "n pieces"]
    path_covariance: Float[Array, "n pieces"]


def sight(sensors: Sensors, position: Float[Array, "pieces 3"], direction: Float[Array, "pieces 3"]) -> Sight:
    """Geometry between pieces at `position` emitting around `direction` and every sensor.

    The mean m of the unit vectors towards a disc of radius a, weighted by solid angle, has the direction of its form factor
    (Howell, A Catalog of Radiation Configuration Factors, B-12 and B-13, for the two components), exactly. Of the rest,
    1 − |m|², a part (1 − |m|)²/3 is along m (exactly so on the axis) and the other one is shared out as it is far away: there the offset q on the disc has ⟨q qᵀ⟩ = a²/4 P, P the projector on its
    plane, and cos θ the gradient g/d, g = t − cos θ r̂, with r̂ the line of sight and t the direction. With ⟨q q q q⟩ =
    a⁴/24 (P P + P P + P P) the third central moment is a⁴/16d⁴ (2 g·H·g − |g|² tr H / 2 + 3 |g|² g·r̂), H being the second
    derivative of cos θ, times d², in the plane. The variances are within 6 % at two radii, 15 % at 1.5 and a half at 0.3.
    """
    rx, ry, rz = (sensors.position[:, None, i] - position[None, :, i] for i in range(3))
    nx, ny, nz = (sensors.normal[:, None, i] for i in range(3))
    tx, ty, tz = (direction[None, :, i] for i in range(3))
    squared = rx * rx + ry * ry + rz * rz
    distance = jnp.sqrt(squared)
    inverse = 1 / distance
    height = -(rx * nx + ry * ny + rz * nz)
    radius = sensors.radius[:, None]
    solid_angle = disc_solid_angle(height, squared - height**2, radius)
    facing, along_normal = height * inverse, tx * nx + ty * ny + tz * nz
    central = (rx * tx + ry * ty + rz * tz) * inverse
    deficit, mean_facing, mean_cosine = _mean_bearing(distance, facing, radius, central, along_normal)
    mean = jnp.sqrt(1 - deficit)
    along = (deficit / (1 + mean)) ** 2 / 3
    # What a disc far away has as (a/2d)².
    scale = (deficit - along) / (1 + mean_facing**2)
    gradient = jnp.maximum(1 - mean_cosine**2 - (along_normal + mean_cosine * mean_facing) ** 2, 0.0)
    variance = scale * gradient + mean_cosine**2 * along
    # r̂·P·t, r̂·P·g and t·P·g, and the trace and the gg element of the second derivative of cos θ
    in_plane = 1 - facing * facing
    mixed = central + along_normal * facing
    onward = facing * (central * facing + along_normal)
    across = 1 - along_normal * along_normal - central * mixed
    trace = -2 * mixed + central * (3 * in_plane - 2)
    bent = -2 * onward * across + central * (3 * onward * onward - gradient)
    third = scale * scale * (2 * bent + gradient * (3 * onward - 0.5 * trace))
    return Sight(
        distance=distance,
        solid_angle=solid_angle,
        over_face=0.25 * radius**2 * in_plane,
        facing=facing,
        cosine=mean * mean_cosine,
        face_variance=variance,
        face_third=third,
        sine_squared=1 - central * central,
        along_normal=along_normal,
        path_covariance=scale * distance * onward,
    )


# Least cosine under which a face is taken to be seen in `_mean_bearing`: where a track leaves through a face, its end lies in the face's
# plane, where the mean bearing jumps, and on the inner side of it for any rounding.
_LEAST_FACING = 1e-3


def _mean_bearing(
    distance: Array, facing: Array, radius: Array, cosine: Array, along_normal: Array
) -> tuple[Array, Array, Array]:
    """1 − |m|², m being the mean unit vector towards a disc, and the cosines of m with the way back along the disc's normal
    and with the direction whose cosines with the line of sight and the normal are given.

    In units of the distance, B² = (1 + a²)² − 4 a² ρ², A = 1 − a² and C = 1 + a², m is ∝ ρ / (B + C) + h / (A + B). Its
    length is a rational function with the first two terms of the expansion in a², and nearly the value on the axis.
    Light from behind the face does not count: there it is that of a source in its plane.
    """
    disc = (radius / distance) ** 2
    square = jnp.maximum(facing, 0.0) ** 2 + _LEAST_FACING**2
    facing = jnp.sqrt(square)
    ahead = 2 * disc * facing / (1 - disc + jnp.sqrt((1 - disc) ** 2 + 4 * disc * square + 1e-9) + 1e-9)
    inverse = 1 / jnp.sqrt(1 + ahead * (2 * facing + ahead))
    second = disc * (17 + square * (28 - 45 * square)) / (16 * (1 + disc))
    deficit = 0.25 * disc * (1 + square + second) / (1 + 0.875 * disc)
    return deficit, (facing + ahead) * inverse, (cosine - ahead * along_normal) * inverse


def scattered(view: Sight, spread: Spread) -> tuple[Float[Array, "n pieces"], ...]:
    """Mean shift, variance and third central moment of cos θ over the scattered tracks, weighted by the light each sends
    to the sensor.

    To second order in the direction's change δt and the displacement δx, with r̂⊥ the line of sight across the track:
    δ cos θ = r̂⊥·(δt + cos θ δx/d) has the variance; the mean has the curvature of cos θ in both, the lag along the
    axis, and the correlation of δ cos θ with the intensity h/d³ of the displaced light. The angle θ itself is Gaussian to
    this order, with variance v, so cos θ has the third moment −3 cos θ sin²θ v². Spread over the face adds to that of the
    track: what the two have in common, −6 cos θ v times the face's variance, is in the third moment, too.
    """
    inverse = 1 / view.distance
    cosine, squared = view.cosine, view.sine_squared
    covariance = spread.covariance * inverse
    displacement = spread.displacement * inverse**2
    lever = covariance + cosine * displacement
    in_plane = spread.angle + covariance * cosine + cosine * lever
    variance = squared * in_plane + spread.angle**2
    third = -3 * cosine * in_plane * (squared * in_plane + 2 * view.face_variance)
    curvature = -cosine * spread.angle - covariance * (1 + cosine**2) + displacement * cosine * (1.5 * squared - 1)
    # Held at grazing incidence, without a kink: the facing is taken as 0.05 at least.
    facing = jnp.sqrt(jnp.sqrt(view.facing**4 + 0.05**4))
    intensity = lever * (3 * squared - 1 - cosine * view.along_normal / facing)
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

    @property
    def span(self) -> tuple[Float[Array, "pieces 3"], Float[Array, "pieces 3"]]:
        """Middles of the segments, and the vectors from one end to the other, in mm."""
        return 0.5 * (self.position[1:] + self.position[:-1]), self.position[1:] - self.position[:-1]

    @property
    def groups(self) -> np.ndarray:
        """One for all `(pieces,)`: a sensor gets its light from a short stretch of the track."""
        return np.zeros(self.time.shape[0] - 1, int)

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
        thirds = _middles(view.face_third), _middles(third - index[2] * inverse_beta**3)
        density = _mean_density(argument[:, :-1], argument[:, 1:], (face, other, *thirds))
        length = jnp.sqrt(jnp.sum((self.position[1:] - self.position[:-1]) ** 2, axis=-1))
        distance, solid_angle = _middles(view.distance), _middles(view.solid_angle)
        charge = length * _light_left(sensors, colours, distance) * solid_angle * density / (2 * math.pi)
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
        # Near a sensor the regression, of small angles, would explain more than there is.
        over_face = _middles(view.over_face)
        explained = jnp.minimum(of_path**2 / (blurred * (over_face + _FLAT)), 10.0)
        over_face = over_face * (1 - held_below_one(explained))
        return Light(charge, start, distance, over_face, 1 - of_colour / blurred)


def _middles(values: Float[Array, "*n nodes"]) -> Float[Array, "*n pieces"]:
    return 0.5 * (values[..., 1:] + values[..., :-1])


def _mean_density(first: Array, last: Array, blur: tuple[Array, Array, Array, Array]) -> Array:
    """Mean over [`first`, `last`] of the density whose cumulative is `blurred_part`; `blur`: variances and third moments of
    the face and of all else.

    Intervals are widened by 2 % of the blur in square, since in narrow ones the difference would drown in rounding: that
    changes the mean by (0.02)²/24.
    """
    middle = 0.5 * (first + last)
    width = jnp.sqrt((last - first) ** 2 + 0.02**2 * (blur[0] + blur[1]))
    return blurred_part(jnp.stack([middle - 0.5 * width, middle + 0.5 * width]), *blur) / width


class BroadSource(eqx.Module):
    """Pieces whose angular profile is broad: a mixture of Gaussians in cos θ; showers and δ rays.

    **Fields** `(pieces, ...)`: `position` of the middles in mm, `direction`, `time` in ns, `extent (pieces, 3)`: vector
    from one end of the piece to the other, `length`: equivalent length in mm of light, `weights (pieces, c)`, on a basis
    of `centres` and `sigmas` in cos θ (static, `c` numbers each), and the `spread` of real tracks.
    """

    position: Float[Array, "pieces 3"]
    direction: Float[Array, "pieces 3"]
    time: Float[Array, " pieces"]
    extent: Float[Array, "pieces 3"]
    length: Float[Array, " pieces"]
    weights: Float[Array, "pieces c"]
    spread: Spread
    centres: tuple[float, ...] = eqx.field(static=True)
    sigmas: tuple[float, ...] = eqx.field(static=True)

    @property
    def span(self) -> tuple[Float[Array, "pieces 3"], Float[Array, "pieces 3"]]:
        """Middles of the pieces, and the vectors from one end to the other, in mm."""
        return self.position, self.extent

    @property
    def groups(self) -> np.ndarray:
        """Group of each piece, `(pieces,)`, when arrival times are described: light of all pieces reaches a sensor."""
        return _gathered(self.time.shape[0])

    def light(self, sensors: Sensors, colours: tuple[Colour, ...]) -> Light:
        """Charge, emission time and distance for every piece and sensor; `colours` of the β = 1 spectrum per type."""
        view = sight(sensors, self.position, self.direction)
        index = select_moments(sensors.kind, tuple(c.inverse_index for c in colours), view.distance)
        shift, blur, _ = scattered(view, self.spread)
        face = view.face_variance + 1e-12
        moved, slope = dispersion(view.cosine + shift, colours[0].reference)
        other = blur + self._piece_variance(view) + index[1] * moved**2
        tilt = index[0] - colours[0].reference
        cosine = view.cosine + shift - tilt * moved
        density, rise = self._density(cosine, face, other)
        density = density / (1 + tilt * slope)
        light = self.length * _light_left(sensors, colours, view.distance)
        charge = light * view.solid_angle * density / (2 * math.pi)
        # More light falls on the part of the face that is nearer to a peak, and arrives at its time.
        group_index = per_type(sensors.kind, [c.group_index for c in colours])
        start = self.time + group_index * view.path_covariance * rise / SPEED_OF_LIGHT
        return Light(charge, start, view.distance, view.over_face, jnp.ones_like(charge))

    def _density(self, cosine: Array, face: Array, other: Array) -> tuple[Array, Array]:
        """Of light in cos θ, and the slope of its logarithm. Where a peak is narrower than the face may be, the face's own
        shape shows."""
        dtype = cosine.dtype
        centres, sigmas = (np.array(values, dtype)[:, None, None] for values in (self.centres, self.sigmas))
        # A Gaussian of the basis is normalised on [−1, 1].
        mass = ndtr((1 - centres) / sigmas) - ndtr((-1 - centres) / sigmas)
        weights = self.weights.T[:, None, :] / mass.astype(dtype)
        peaks, hills = np.flatnonzero(sigmas < _PEAK), np.flatnonzero(sigmas >= _PEAK)
        sharp, sharp_slope = blurred_density(cosine - centres[peaks], face, other + sigmas[peaks] ** 2)
        inverse, off = 1 / (face + other + sigmas[hills] ** 2), cosine - centres[hills]
        smooth = weights[hills] * jnp.exp(-0.5 * off * off * inverse) * jnp.sqrt(inverse / (2 * math.pi))
        density = jnp.sum(weights[peaks] * sharp, axis=0) + jnp.sum(smooth, axis=0)
        slope = jnp.sum(weights[peaks] * sharp_slope, axis=0) - jnp.sum(smooth * off * inverse, axis=0)
        return density, slope / (density + 1e-12)

    def _piece_variance(self, view: Sight) -> Float[Array, "n pieces"]:
        """Variance of cos θ over a piece's length: it changes by −sin²θ ℓ/d from one end to the other."""
        squared = jnp.sum(self.extent**2, axis=-1)
        return view.sine_squared**2 * squared / (12 * view.distance**2)


def dispersion(
    cosine: Float[Array, "..."], reference: Float[Array, ""]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """How far light of a broad source at `cosine` to the axis moves in cos θ for a change of 1/n, and that number's slope.

    The light of an electron at angle α to the axis moves by (cos α − cos θ cos θ_C) / sin² θ_C: by 1 at the Cherenkov
    angle θ_C of β = 1, whose cosine is `reference`, for electrons along the axis; not at all at the poles, where
    α = θ_C. With x = sin² θ / sin² θ_C, 1 − exp(−2x − 2x²) is near the mean between the two, and near 1 beyond the cone.
    """
    ring = 1 - reference**2
    of_ring = (1 - cosine**2) / ring
    still = jnp.exp(-2 * of_ring * (1 + of_ring))
    return 1 - still, -4 * cosine / ring * (1 + 2 * of_ring) * still


class IsotropicSource(eqx.Module):
    """Points that emit evenly in all directions: `position (pieces, 3)`, `time (pieces,)`, `photons (pieces,)`."""

    position: Float[Array, "pieces 3"]
    time: Float[Array, " pieces"]
    photons: Float[Array, " pieces"]

    @property
    def span(self) -> tuple[Float[Array, "pieces 3"], Float[Array, "pieces 3"]]:
        """The points, which have no length."""
        return self.position, jnp.zeros_like(self.position)

    @property
    def groups(self) -> np.ndarray:
        """Group of each piece, `(pieces,)`, when arrival times are described."""
        return _gathered(self.time.shape[0])

    def light(self, sensors: Sensors, colours: tuple[Colour, ...]) -> Light:
        """Charge, emission time and distance for every piece and sensor; `colours` of the spectrum per photon."""
        # It sends the same in all directions: any one will do.
        view = sight(sensors, self.position, jnp.zeros_like(self.position))
        charge = self.photons * _light_left(sensors, colours, view.distance) * view.solid_angle / (4 * math.pi)
        start = jnp.broadcast_to(self.time, charge.shape)
        return Light(charge, start, view.distance, view.over_face, jnp.ones_like(charge))


def _gathered(pieces: int) -> np.ndarray:
    """Neighbours together, four or more, in four groups at most."""
    return np.arange(pieces) * min(4, -(-pieces // 4)) // pieces


def _light_left(sensors: Sensors, colours: tuple[Colour, ...], distance: Float[Array, "n p"]) -> Float[Array, "n p"]:
    """Photoelectrons per unit of light that is sent towards a sensor, after `distance` in mm."""
    return jnp.exp(select(sensors.kind, tuple(colour.log_light for colour in colours))(distance))


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
