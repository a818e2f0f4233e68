"""The interface of a simulator: two methods, no flag."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PRNGKeyArray


class AbstractSimulator(eqx.Module):
    """From a detector and an event to what is recorded.

    `latents` are the event's own fluctuations (multiple scattering, straggling, δ rays) as independent standard normal
    variables; information matrices marginalize them.
    """

    chunk: eqx.AbstractVar[int]
    """Number of channels treated at a time; peak memory follows it."""

    together: ClassVar[bool] = False
    """Whether what all channels receive is computed at once, so that the derivatives of one cost as much as those of all:
    information matrices then take them forward, parameter by parameter."""

    def channel_chunks(self, count: int) -> tuple[Int[Array, "rows size"], Bool[Array, "rows size"]]:
        """Indices of `count` channels in rows of at most `chunk`, as even as can be, and which of them count: the last row
        is filled up with the last channel."""
        rows = -(-count // min(self.chunk, count))
        width = -(-count // rows)
        indices = np.arange(rows * width).reshape(rows, width)
        return jnp.asarray(np.minimum(indices, count - 1)), jnp.asarray(indices < count)

    @abc.abstractmethod
    def expected(self, detector: Any, event: Any) -> Any:
        """The smooth mean of what is recorded, differentiable in everything."""

    @abc.abstractmethod
    def sample(self, detector: Any, event: Any, key: PRNGKeyArray) -> Any:
        """A noisy readout as data would be, with the fluctuations of the particle and of the detection."""

    @abc.abstractmethod
    def latent_count(self, event: Any) -> int:
        """Number of latent variables that describe the event's own fluctuations."""

    @abc.abstractmethod
    def emit(self, detector: Any, event: Any, latents: Array) -> Any:
        """What the event sends out, for given latents, before any channel sees it: a pytree of moderate size.

        Information matrices differentiate `receive` with respect to it, channel by channel, and it with respect to the
        parameters, so that their cost does not grow with the number of parameters.
        """

    @abc.abstractmethod
    def receive(self, detector: Any, emitted: Any, channels: Array) -> Any:
        """What the channels with indices `channels (n,)` receive of what `emit` sent out."""

    def receives_by(self, path: str) -> bool:
        """Whether `receive` follows this leaf of the detector in another way than through what is sent out."""
        return True

    def receive_along(self, detector: Any, emitted: Any, changes: Any, channels: Array) -> tuple[Any, Any]:
        """`receive`, and its derivatives along `changes` of what is sent out: a pytree like the real numbers of that, with a
        leading axis."""
        moving, fixed = eqx.partition(emitted, eqx.is_inexact_array)
        received, push = jax.linearize(lambda sent: self.receive(detector, eqx.combine(sent, fixed), channels), moving)
        return received, jax.lax.map(jax.checkpoint(push), changes)
