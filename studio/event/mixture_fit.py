"""Fit many distributions of a cosine with one shared basis of Gaussians and smooth positive weights (offline)."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize, nnls

DISPERSION = 0.004  # rms of 1/n in the light between 300 and 600 nm: nothing finer is ever seen
SMALLEST_SIGMA = 0.002
SMOOTHNESS = 1e-6  # splines through the logits then stay within 1 % of the distributions between the nodes, above 1 MeV

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """`centres (c,)`, `sigmas (c,)`, `logits (..., c)` whose softmax is the weights, `deviation (...)` largest of the CDF,
    distribution and fit both folded with dispersion."""

    centres: Floats
    sigmas: Floats
    logits: Floats
    deviation: Floats


def fit(histograms: Floats, centres: Floats, sigmas: Floats, importance: Floats, iterations: int = 1500) -> Mixture:
    """Least squares between cumulative distributions of `histograms (..., bins)` over [-1, 1] and of Gaussians.

    Starts from a basis with `centres` and `sigmas (c,)` and moves it; `importance (...)` weighs the distributions. A small
    penalty on second differences of the logits along all leading axes of length above 2 keeps them smooth where the data
    say nothing.
    """
    bins = histograms.shape[-1]
    folded = gaussian_filter1d(histograms, DISPERSION * bins / 2.0, axis=-1, mode="nearest")
    data = (np.cumsum(folded, axis=-1) / np.sum(folded, axis=-1, keepdims=True))[..., :-1]
    edges = np.linspace(-1.0, 1.0, bins + 1)[1:-1]
    used = np.flatnonzero((np.abs(edges - 0.76) < 0.06) | (np.arange(bins - 1) % 8 == 0))
    spacing = np.gradient(edges[used])
    start = {
        "centres": jnp.arctanh(jnp.asarray(centres)),
        "sigmas": jnp.log(jnp.asarray(sigmas) - SMALLEST_SIGMA),
    }
    start["logits"] = jnp.asarray(_first_logits(data, np.asarray(_cumulative(start, jnp.asarray(edges)))))
    flat, unravel = ravel_pytree(start)
    weight = jnp.asarray(importance[..., None] * spacing / np.mean(importance) / np.sum(spacing))
    target, at = jnp.asarray(data[..., used]), jnp.asarray(edges[used])

    @jax.jit
    @jax.value_and_grad
    def loss(vector):
        parameters = unravel(vector)
        model = jax.nn.softmax(parameters["logits"], axis=-1) @ _cumulative(parameters, at).T
        return 1e6 * (
            jnp.sum(weight * (model - target) ** 2) / importance.size + SMOOTHNESS * _roughness(parameters["logits"])
        )

    def objective(vector):
        value, gradient = loss(jnp.asarray(vector))
        return float(value), np.asarray(gradient, np.float64)

    options = {"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 30, "ftol": 1e-9}
    result = minimize(objective, np.asarray(flat), jac=True, method="L-BFGS-B", options=options)
    parameters = unravel(jnp.asarray(result.x))
    logits = np.asarray(parameters["logits"])
    model = np.asarray(jax.nn.softmax(parameters["logits"], axis=-1) @ _cumulative(parameters, jnp.asarray(edges)).T)
    order = np.argsort(np.asarray(_sigmas(parameters)))
    return Mixture(
        centres=np.tanh(np.asarray(parameters["centres"]))[order],
        sigmas=np.asarray(_sigmas(parameters))[order],
        logits=(logits - logits.mean(axis=-1, keepdims=True))[..., order],
        deviation=np.max(np.abs(model - data), axis=-1),
    )


def _first_logits(data: Floats, basis: Floats) -> Floats:
    """Logarithms of the non-negative least-squares weights, none below 1e-3."""
    system = np.vstack([basis, np.full((1, basis.shape[1]), 100.0)])
    rows = [nnls(system, np.append(row, 100.0))[0] for row in data.reshape(-1, data.shape[-1])]
    return np.log(np.maximum(np.stack(rows), 1e-3)).reshape(*data.shape[:-1], basis.shape[1])


def _sigmas(parameters: dict) -> jax.Array:
    return SMALLEST_SIGMA + jnp.exp(parameters["sigmas"])


def _cumulative(parameters: dict, edges: jax.Array) -> jax.Array:
    """Cumulative distributions `(edges, c)` of the basis on [-1, 1], folded with dispersion."""
    centres = jnp.tanh(parameters["centres"])
    sigmas = jnp.sqrt(_sigmas(parameters) ** 2 + DISPERSION**2)
    cdf = jax.scipy.special.ndtr
    low, high = cdf((-1.0 - centres) / sigmas), cdf((1.0 - centres) / sigmas)
    return (cdf((edges[:, None] - centres) / sigmas) - low) / (high - low)


def _roughness(logits: jax.Array) -> jax.Array:
    axes = [axis for axis in range(logits.ndim - 1) if logits.shape[axis] > 2]
    return sum((jnp.mean(jnp.diff(logits, 2, axis=axis) ** 2) for axis in axes), jnp.zeros(()))
