"""The commented example that `studio new` writes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from .._checks import InputError
from ..io.atomic import replace_file
from ..io.geometry import check_geometry, read_optical
from .experiment_file import parse_experiment

EXAMPLE = """\
# An experiment: which design is optimised, for which events, and how the gain is measured.
# Check it with `studio check`, run it with `studio optimise`. Quantities carry units; unknown keys are refused.

# The baseline: the name of a geometry that ships with the studio, or the path of a geometry file (relative to this one).
geometry: {geometry}

# The events a design is judged by.
events:
  kind: gun
  particle: mu-                       # mu-, mu+, e-, e+, point, or a list of several
  kinetic_energy: [200 MeV, 1 GeV]    # drawn evenly between the two; or one value
  vertex: uniform                     # uniform in the volume, centre, or a point such as [0 m, 0 m, 1 m]
  direction: beam                     # beam (+x), isotropic, a vector such as [0, 0, 1],
                                      # or spread around one: {{around: beam, spread: 20 deg}}
  contained: true                     # only events that end inside the volume
  count: 64                           # how many events the design is optimised for

# What may change, by path. `studio check` lists what a path may become.
free:
  sensors.uv: {{}}                      # positions of the sensors on the wall
  # volume.radius: {{between: [3 m, 4 m]}}

# What is made small: the mean over events of the log of the resolution that the recorded light allows (Cramér-Rao bound).
# Also a_criterion, d_criterion, e_criterion. A term may look at one particle (particle: e-) and at bad events
# (reduce: worst, {{quantile: 90 %}}, {{tail: 10 %}}).
objective:
  - {{kind: vertex_resolution, weight: 1.0}}
  - {{kind: direction_resolution, weight: 1.0}}
  - {{kind: energy_resolution, weight: 1.0}}

# The objective as the mean over detectors that came out a little different from the drawing; each sample costs as much as
# the objective alone.
# robust: {{position_error: 2 cm, dead: 1 %, samples: 4}}

# What is not known exactly, with its relative uncertainty.
nuisance:
  medium.absorption_length: {{prior: 10 %}}
  sensors.efficiency: {{prior: 5 %}}

# What a design must keep to; measured again after the fact.
constraints:
  - {{kind: budget, at_most: baseline}}             # in money, by the prices of `costs`; or an amount: at_most: 12.5 MUSD
  - {{kind: minimum_spacing, at_least: {spacing}}}{gap}# between sensor centres; {closest}

# What things cost: entries here change the prices that ship; `costs: my_costs.yaml` names a file of prices.
costs:
  excavation: {{price: 600 USD/m3, source: assumed}}

# How the design is moved.
optimiser:
  kind: adam
  learning_rate: 0.01                 # in natural units: 1 is a radian, half a range, a factor e
  steps: 100
  # batch: 32                         # events a step; all of them where it is left out

# The judge: fresh events, sampled with all their fluctuations and reconstructed for the baseline and for the optimum.
validation:
  events: 400
  reconstruct: true

seed: 1
"""


def write_example(path: Path, geometry: str, *, before_physics: Callable[[], None] = lambda: None) -> None:
    """Writes the example to a new file; its smallest spacing is one that the geometry keeps.

    `before_physics` is called before anything imports jax. **Raises** `InputError` where the file exists or cannot be written,
    or the geometry is bad.
    """
    named = parse_experiment(_text(geometry, 1.0, None), str(path)).geometry
    if path.exists():
        raise InputError("exists already", file=path, remedy="name another file; nothing was overwritten")
    before_physics()
    read_optical(named)
    report = check_geometry(named)
    closest, diameter = report["spacing"]["smallest_m"], 2 * report["sensors"]["radius_mm"][1] / 1000
    text = _text(geometry, diameter if closest is None else rounded_down(closest, diameter), closest)
    replace_file(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def rounded_down(spacing: float, diameter: float) -> float:
    """A spacing rounded down to as few figures as keep faces of that diameter apart, four at most."""
    for figures in range(1, 4):
        value = _floor(spacing, figures)
        if value >= diameter:
            return value
    return _floor(spacing, 4)


def _floor(value: float, figures: int) -> float:
    power = figures - 1 - math.floor(math.log10(value))
    # Sums of floating-point numbers such as 0.6999999999999999 m mean 0.7 m.
    return math.floor(value * 10**power * (1 + 1e-9)) / 10**power


def _text(geometry: str, spacing: float, closest: float | None) -> str:
    found = "there is one sensor" if closest is None else f"the two closest stand {closest:.4g} m apart"
    quantity = f"{spacing:g} m"
    gap = " " * max(1, 10 - len(quantity))
    return EXAMPLE.format(geometry=geometry, spacing=quantity, gap=gap, closest=found)
