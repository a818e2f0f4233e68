"""Fisher information of an event's parameters, with nuisance parameters and the event's own fluctuations marginalized."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from .._checks import InputError, StudioError, choice_remedy
from .._linear import inverse_positive, solve_positive
from ..event import Primary
from ..paths import get
from ..simulation import AbstractSimulator
from .likelihood import AbstractLikelihood, likelihood_of
from .parameters import GROUPS, groups_of, names_of, scales
from .sensitivity import NUISANCE_STEP, channel_sensitivities, information_matrix


class Information(eqx.Module):
    """Marginal Fisher information of the wanted parameters.

    **Fields**: `matrix (k, k)` in inverse physical units (mm, rad, MeV, ns), everything else marginalized; `names`;
    `scale (k,)`: natural units in which the matrix is inverted.
    """

    matrix: Float[Array, "k k"]
    scale: Float[Array, " k"]
    names: tuple[str, ...] = eqx.field(static=True)

    @property
    def natural(self) -> Float[Array, "k k"]:
        """The matrix in natural units, in which it is well conditioned."""
        return self.matrix * self.scale[:, None] * self.scale[None, :]

    def covariance(self) -> Float[Array, "k k"]:
        """The Cramér–Rao lower bound of the covariance matrix, in physical units."""
        inverse = inverse_positive(self.natural)
        return inverse * self.scale[:, None] * self.scale[None, :]

    def crlb(self) -> Float[Array, " k"]:
        """The Cramér–Rao lower bounds of the variances, in physical units squared, in the order of `names`.

        **Raises** `StudioError` naming the parameter that the data do not determine (not under jit, where it is NaN).
        """
        variances = jnp.diag(self.covariance())
        if not isinstance(variances, Tracer):
            self._require_identified(np.asarray(variances))
        return variances

    def sigma(self) -> Float[Array, " k"]:
        """Standard deviations: the roots of `crlb`."""
        return jnp.sqrt(self.crlb())

    def _require_identified(self, variances: np.ndarray) -> None:
        natural = np.asarray(self.natural)
        values, vectors = np.linalg.eigh(natural) if np.all(np.isfinite(natural)) else (np.zeros(1), np.zeros((1, 1)))
        if np.all(np.isfinite(variances)) and np.all(variances > 0) and values[0] > 1e-13 * values[-1]:
            return
        worst = int(np.argmax(np.abs(vectors[:, 0]))) if vectors.shape[0] == len(self.names) else 0
        raise StudioError(
            f"the data do not determine {self.names[worst]}: its Fisher information is singular "
            f"(eigenvalues from {values[0]:.3g} to {values[-1]:.3g} in natural units). "
            "Fix the parameter, give a nuisance a prior, or use a detector or event that sees it"
        )


def fisher_information(
    simulator: AbstractSimulator,
    detector: Any,
    event: Primary,
    wanted: Sequence[str] = ("vertex", "direction", "kinetic_energy"),
    nuisance: Sequence[str] | Mapping[str, float | None] = (),
    likelihood: AbstractLikelihood | None = None,
    known: Mapping[str, float] | None = None,
) -> Information:
    """Fisher information of one event's parameters for what the detector records.

    **Arguments**: `wanted`: groups among vertex, direction, kinetic_energy, time, and paths of `nuisance`; the other groups
    are nuisance parameters. `nuisance`: paths of detector leaves that are uncertain, or a mapping from path to the relative
    standard deviation of a prior (None for no prior). `known`: groups that something else measures, with the standard
    deviation in physical units: `{"time": 10 * ns}` where light gives the time of charge. The event's own fluctuations, the
    simulator's latents, have their unit prior and are marginalized: to first order that is Jᵀ(C_noise + C_process)⁻¹J.

    **Raises** `InputError` for unknown names, and `StudioError` where 64-bit arithmetic is off.
    """
    asked = _Question(simulator, detector, event, wanted, nuisance, likelihood, known)
    return asked.about_the_wanted(information_matrix(*asked.arguments))


def information_by_channel(
    simulator: AbstractSimulator,
    detector: Any,
    event: Primary,
    wanted: Sequence[str] = ("vertex", "direction", "kinetic_energy"),
    nuisance: Sequence[str] | Mapping[str, float | None] = (),
    likelihood: AbstractLikelihood | None = None,
    known: Mapping[str, float] | None = None,
) -> tuple[Information, Float[Array, " channels"]]:
    """`fisher_information`, and the share of it that each channel brings. Arguments and errors are the same.

    Let Fₙ be channel n's information about all parameters, P that of the priors, C = (Σₙ Fₙ + P)⁻¹, and Σ = EᵀCE the
    covariance of the k wanted parameters. The share is sₙ = tr(Σ⁻¹ EᵀC Fₙ CE) / k = −∂(log det Σ)/∂wₙ / k, where wₙ is a
    weight on Fₙ: by what fraction the wanted variances would fall, in the geometric mean, per relative growth of what the
    channel measures. Shares are not negative and add up to 1 minus the share of the priors.
    """
    asked = _Question(simulator, detector, event, wanted, nuisance, likelihood, known)
    jacobian, weight = channel_sensitivities(*asked.arguments)
    full = jnp.einsum("nka,nk,nkb->ab", jacobian, weight, jacobian)
    towards = inverse_positive(full + jnp.diag(asked.prior))[:, asked.kept]
    covariance = towards[asked.kept]
    pull = jacobian @ towards
    shares = jnp.einsum("nka,nk,nka->n", pull, weight, pull @ inverse_positive(covariance)) / len(asked.kept)
    return asked.about_the_wanted(full), shares


class _Question:
    """What is asked of an event: checked, with the arguments of the sums over channels, and what to do with the sum."""

    def __init__(
        self,
        simulator: AbstractSimulator,
        detector: Any,
        event: Primary,
        wanted: Sequence[str],
        nuisance: Sequence[str] | Mapping[str, float | None],
        likelihood: AbstractLikelihood | None,
        known: Mapping[str, float] | None,
    ):
        require_x64()
        groups = groups_of(event)
        priors = dict(nuisance) if isinstance(nuisance, Mapping) else dict.fromkeys(nuisance)
        _require("wanted", wanted, (*groups, *priors))
        _require("known", known or {}, groups)
        likelihood = likelihood_of(simulator) if likelihood is None else likelihood
        latents = jnp.zeros(simulator.latent_count(event), event.kinetic_energy.dtype)
        self.arguments = (simulator, likelihood, detector, event, latents, groups, priors)
        leaves = {path: jnp.asarray(get(detector, path)) for path in priors}
        owners = [group for group in groups for _ in GROUPS[group]]
        owners += [path for path, leaf in leaves.items() for _ in range(leaf.size)]
        self.kept = np.array([index for index, owner in enumerate(owners) if owner in wanted])
        names = [*names_of(groups), *(name for path, leaf in leaves.items() for name in _elements(path, leaf))]
        self.names = tuple(names[index] for index in self.kept)
        steps = [scales(event, groups), *(NUISANCE_STEP * jnp.abs(leaf).ravel() for leaf in leaves.values())]
        self.scale = jnp.concatenate([jnp.asarray(step, jnp.float64) for step in steps])
        widths = jnp.asarray([(known or {}).get(group, np.inf) for group in owners[: len(names_of(groups))]])
        measured = (self.scale[: len(widths)] / widths) ** 2
        self.prior = jnp.concatenate([measured, prior_information(detector, priors, latents.shape[0])])

    def about_the_wanted(self, full: Float[Array, "all all"]) -> Information:
        """What the information about all parameters says about the wanted ones, the others marginalized."""
        kept, full = self.kept, full + jnp.diag(self.prior)
        left = np.setdiff1d(np.arange(full.shape[0]), kept)
        natural = full[np.ix_(kept, kept)]
        if len(left):
            coupling = full[np.ix_(kept, left)]
            natural = natural - coupling @ solve_positive(full[np.ix_(left, left)], coupling.T)
        scale = self.scale[kept]
        return Information(natural / scale[:, None] / scale[None, :], scale, self.names)


def _require(key: str, names: Iterable[str], allowed: Sequence[str]) -> None:
    for name in names:
        if name not in allowed:
            remedy = choice_remedy(name, allowed)
            raise InputError("unknown or meaningless parameter", key=key, value=name, remedy=remedy)


def _elements(path: str, leaf: Array) -> list[str]:
    """A name for each number of a leaf."""
    return [path] if leaf.ndim == 0 else [f"{path}.{index}" for index in range(leaf.size)]


def prior_information(detector: Any, priors: Mapping[str, float | None], latents: int) -> Float[Array, " others"]:
    """Information of the priors of nuisances (relative σ, or None) and of unit-normal latents, in natural units."""
    parts = [
        np.full(jnp.size(get(detector, path)), 0.0 if width is None else (NUISANCE_STEP / width) ** 2)
        for path, width in priors.items()
    ]
    return jnp.asarray(np.concatenate([*parts, np.ones(latents)]), jnp.float64)


def require_x64() -> None:
    """Raise `StudioError` with the remedy where 64-bit arithmetic is off."""
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise StudioError(
            "Fisher information is solved in float64, which is off: call jax.config.update('jax_enable_x64', True) "
            "before the first array is made (the studio command does so itself)"
        )
