"""The feasibility audit: every constraint of a design after the fact, in physical units."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import paths


@dataclasses.dataclass(frozen=True)
class AuditRow:
    """One line of an audit.

    - `name`: of the constraint, or of the leaf for a bound.
    - `limit`: what is allowed, in `unit`.
    - `value`: what was measured, in `unit`.
    - `satisfied`: whether it is allowed, within the audit's tolerance.
    - `margin`: distance to the limit, in `unit`; negative where it is broken.
    - `detail`: the worst place, in words.
    """

    name: str
    limit: float
    value: float
    unit: str
    satisfied: bool
    margin: float
    detail: str = ""

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.name}: {self.value:.5g} where the limit is {self.limit:.5g} {self.unit}".rstrip() + detail


@dataclasses.dataclass(frozen=True)
class Audit:
    """The audit of one design: feasible only where every row is satisfied."""

    rows: tuple[AuditRow, ...]

    @property
    def feasible(self) -> bool:
        """Whether every row is satisfied."""
        return all(row.satisfied for row in self.rows)

    @property
    def violated(self) -> tuple[str, ...]:
        """The names of the rows that are not satisfied."""
        return tuple(row.name for row in self.rows if not row.satisfied)

    def violations(self) -> str:
        """The rows that are not satisfied, in words; empty where all are."""
        return "; ".join(str(row) for row in self.rows if not row.satisfied)

    def as_dicts(self) -> list[dict[str, Any]]:
        """The rows as plain dicts."""
        return [dataclasses.asdict(row) for row in self.rows]

    def __str__(self) -> str:
        header = ("constraint", "limit", "value", "margin", "unit", "satisfied")
        lines = [
            (
                row.name,
                f"{row.limit:.6g}",
                f"{row.value:.6g}",
                f"{row.margin:.3g}",
                row.unit,
                "yes" if row.satisfied else "NO",
            )
            for row in self.rows
        ]
        widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]
        return "\n".join(
            "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in [header, *lines]
        )


def audit(tree: Any, constraints: Iterable[Any] = (), space: Any = None, tolerance: float = 1e-3) -> Audit:
    """Measure every constraint, and every bound of `space`, at `tree`.

    **Arguments**

    - `tree`: the design.
    - `constraints`: constraints or callables `tree -> array` that must not be positive.
    - `space`: a `DesignSpace` whose bounds are audited too.
    - `tolerance`: the violation that still counts as satisfied, as a fraction of the limit.
    """
    from .constraints import as_constraints

    rows = [constraint.audit(tree, tolerance) for constraint in as_constraints(constraints)]
    if space is not None:
        rows += _bound_rows(space, {name: paths.get(tree, name) for name in space.names})
    return Audit(tuple(rows))


def _bound_rows(space: Any, leaves: Mapping[str, Any]) -> list[AuditRow]:
    rows = []
    for (name, excess), bound in zip(space.excess(leaves).items(), space.bounds, strict=True):
        finite = bool(np.all(np.isfinite(np.asarray(leaves[name]))))
        if np.isneginf(excess) and finite:
            continue
        outside = max(0.0, excess) if finite else float("inf")
        rows.append(AuditRow(f"bound of {name}", 0.0, outside, "", outside == 0.0, -outside, bound.describe()))
    return rows
