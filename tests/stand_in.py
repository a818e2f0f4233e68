"""A cheap detector family for tests: information falls with the squared distance of sensors, estimates are truth plus noise,
written into the charges of the first seven sensors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from studio.event import Readout
from studio.study.physics import AbstractPhysics, Estimates

#: A geometry file small enough for a study of seconds with this family.
TANK = """
name: tank
volume: {kind: cylinder, radius: 2 m, height: 4 m}
medium: {kind: water}
sensors: {kind: photosensor_array, type: r3600_20_inch, layout: {kind: grid, spacing: 1.8 m, caps: square}}
"""


class StandIn(AbstractPhysics):
    """σ from a sum over sensors of (radius / distance)², so sensors want to be near the events."""

    scale: float = 1.0

    def information(self, detector, event):
        """The three σ themselves: information enough for a stand-in."""
        weight, along = self.weights(detector, event)
        information = jnp.einsum("s,si,sj->ij", weight, along, along) / 100.0**2
        vertex = jnp.sqrt(jnp.trace(jnp.linalg.inv(information)))
        forward = jax.nn.softplus(-4 * along @ event.direction) / 4
        direction = 0.1 / jnp.sqrt(jnp.sum(weight * forward))
        return self.scale * jnp.stack([vertex, direction, 1 / jnp.sqrt(jnp.sum(weight))])

    def weights(self, detector, event):
        """What each sensor counts `(sensors,)`, and the unit vector from it to the event."""
        positions, normals, radii = detector.placed
        offset = event.vertex - positions
        distance = jnp.sqrt(jnp.sum(offset**2, axis=-1) + 100.0**2)
        facing = jax.nn.softplus(4 * jnp.sum(offset * normals, axis=-1) / distance) / 4
        weight = event.kinetic_energy * facing * (radii / distance) ** 2 * jnp.exp(-distance / 2e4)
        weight = weight * detector.sensors.weight
        return weight, offset / distance[:, None]

    def resolution_and_shares(self, detector, event):
        weight, _ = self.weights(detector, event)
        return self.resolution(detector, event), weight / jnp.sum(weight)

    def resolutions(self, information, event):
        return information

    def natural_information(self, information, event):
        return jnp.diag((jnp.array([10.0, 0.01, 0.01]) / information) ** 2)

    def sample(self, detector, event, key):
        sigma = self.resolution(detector, event)
        noise = jax.random.normal(key, (7,))
        direction = event.direction + sigma[1] * noise[3:6]
        vertex = event.vertex + sigma[0] / np.sqrt(3) * noise[:3]
        energy = event.kinetic_energy * (1 + sigma[2] * noise[6:])
        direction = direction / jnp.linalg.norm(direction)
        blank = jnp.zeros(detector.sensors.count)
        return Readout(blank.at[:7].set(jnp.concatenate([vertex, direction, energy])), blank, blank == 0)

    def reconstruct(self, detector, particle, readouts):
        vertex, direction, energy = np.split(np.asarray(readouts.charge)[:, :7], [3, 6], axis=-1)
        energy = energy[:, 0]
        return Estimates(vertex, direction, energy, ("",) * len(energy))
