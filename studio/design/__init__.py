"""Design: free leaves, bounds, constraints, objectives and optimisers on any pytree. It knows nothing of detectors."""

from .audit import Audit, AuditRow, audit
from .certificate import Certificate, certificate
from .constraints import (
    AbstractConstraint,
    AtLeast,
    AtMost,
    Equal,
    MinimumSpacing,
    push_apart,
)
from .evaluation import (
    Evaluation,
    LocalEvaluation,
    combine,
    event_keys,
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
    Mean,
    MeanLog,
    PopulationObjective,
    WeightedSum,
)
from .optimise import optimise
from .optimisers import (
    AbstractOptimiser,
    FirstOrder,
    QuasiNewton,
    first_order,
)
from .pareto import ParetoFront, ParetoPoint, Scalarization, hypervolume, non_dominated, pareto_front
from .solution import Record, Solution, Status
from .space import DesignSpace, Free
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
    "Columnwise",
    "DesignSpace",
    "DirectionCheck",
    "Disc",
    "Equal",
    "Evaluation",
    "FirstOrder",
    "Free",
    "FunctionObjective",
    "GradientCheck",
    "Interval",
    "LocalEvaluation",
    "Mean",
    "MeanLog",
    "MinimumSpacing",
    "Optimisation",
    "ParetoFront",
    "ParetoPoint",
    "PopulationObjective",
    "Positive",
    "QuasiNewton",
    "Record",
    "Rowwise",
    "Scalarization",
    "Simplex",
    "Solution",
    "State",
    "Status",
    "Unbounded",
    "UnitVector",
    "WeightedSum",
    "audit",
    "certificate",
    "check_gradient",
    "combine",
    "event_keys",
    "first_order",
    "hypervolume",
    "non_dominated",
    "optimise",
    "pareto_front",
    "push_apart",
    "summaries",
    "summaries_pull_back",
    "trace_counts",
]
