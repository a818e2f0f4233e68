"""Design: free leaves, bounds, constraints, objectives and optimisers on any pytree. It knows nothing of detectors."""

from .audit import Audit, AuditRow, audit
from .baselines import greedy, random_designs
from .black_box import black_box
from .certificate import Certificate, certificate
from .choice import Choice, choice_gap, heaviest
from .constraints import (
    AbstractConstraint,
    AtLeast,
    AtMost,
    Equal,
    MinimumSpacing,
    push_apart,
)
from .criteria import a_criterion, criterion_width, d_criterion, e_criterion
from .evaluation import (
    Evaluation,
    LocalEvaluation,
    combine,
    event_keys,
    relative_to,
    summaries,
    summaries_pull_back,
)
from .gradient_check import (
    DirectionCheck,
    GradientCheck,
    check_gradient,
)
from .loop import Optimisation, State
from .objectives import (
    AbstractObjective,
    AbstractReducer,
    FunctionObjective,
    LogMean,
    Maximum,
    Mean,
    MeanLog,
    PopulationObjective,
    Quantile,
    Relative,
    Robust,
    Tail,
    WeightedSum,
    Worst,
)
from .optimise import optimise
from .optimisers import (
    AbstractOptimiser,
    FirstOrder,
    QuasiNewton,
    first_order,
)
from .solution import Record, Solution, Status
from .space import DesignSpace, Follows, Free
from .tracing import trace_counts
from .transforms import (
    AbstractBound,
    Angle,
    Columnwise,
    Disc,
    Interval,
    Positive,
    Rowwise,
    Simplex,
    Tied,
    Unbounded,
    UnitVector,
)

__all__ = [
    "AbstractBound",
    "AbstractConstraint",
    "AbstractObjective",
    "AbstractOptimiser",
    "AbstractReducer",
    "Angle",
    "AtLeast",
    "AtMost",
    "Audit",
    "AuditRow",
    "Certificate",
    "Choice",
    "Columnwise",
    "DesignSpace",
    "DirectionCheck",
    "Disc",
    "Equal",
    "Evaluation",
    "FirstOrder",
    "Follows",
    "Free",
    "FunctionObjective",
    "GradientCheck",
    "Interval",
    "LocalEvaluation",
    "LogMean",
    "Maximum",
    "Mean",
    "MeanLog",
    "MinimumSpacing",
    "Optimisation",
    "PopulationObjective",
    "Positive",
    "Quantile",
    "QuasiNewton",
    "Record",
    "Relative",
    "Robust",
    "Rowwise",
    "Simplex",
    "Solution",
    "State",
    "Status",
    "Tail",
    "Tied",
    "Unbounded",
    "UnitVector",
    "WeightedSum",
    "Worst",
    "a_criterion",
    "audit",
    "black_box",
    "certificate",
    "check_gradient",
    "choice_gap",
    "combine",
    "criterion_width",
    "d_criterion",
    "e_criterion",
    "event_keys",
    "first_order",
    "greedy",
    "heaviest",
    "optimise",
    "push_apart",
    "random_designs",
    "relative_to",
    "summaries",
    "summaries_pull_back",
    "trace_counts",
]
