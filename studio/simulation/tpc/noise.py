"""Noise of wires: normal, coloured by the electronics, larger for longer wires."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ...detector.cold_electronics import ColdElectronics


def noise(
    key: PRNGKeyArray, lengths: Float[Array, "*channels"], electronics: ColdElectronics, samples: int
) -> Float[Array, "*channels samples"]:
    """Noise in V of channels whose wires are so long (mm); a channel without a wire has none.

    White noise with the electronics' spectrum: periodic in the window of samples.
    """
    frequency = jnp.asarray(np.fft.rfftfreq(samples, electronics.tick), lengths.dtype)
    amplitude = jnp.sqrt(electronics.noise_power(frequency, samples))
    white = jax.random.normal(key, (*lengths.shape, samples), lengths.dtype)
    coloured = jnp.fft.irfft(jnp.fft.rfft(white, axis=-1) * amplitude, samples, axis=-1)
    return jnp.where(lengths > 0, electronics.noise(lengths), 0.0)[..., None] * coloured
