"""Design: free leaves, bounds, constraints, objectives and optimisers on any pytree. It knows nothing of detectors."""

from .audit import Audit, AuditRow, audit
from .certificate import Certificate, certificate
from .constraints import (
    AbstractConstraint,
    AbstractRegion,
    AtLeast,
    AtMost,
    BallRegion,
    Bodies,
    BoxRegion,
    Equal,
    KeepOut,
    MinimumSpacing,
    PipeRegion,
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
    "AbstractRegion",
    "Angle",
    "AtLeast",
    "AtMost",
    "Audit",
    "AuditRow",
    "BallRegion",
    "Bodies",
    "BoxRegion",
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
    "KeepOut",
    "LocalEvaluation",
    "Mean",
    "MeanLog",
    "MinimumSpacing",
    "Optimisation",
    "PipeRegion",
    "PopulationObjective",
    "Positive",
    "QuasiNewton",
    "Record",
    "Rowwise",
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
    "optimise",
    "push_apart",
    "summaries",
    "summaries_pull_back",
    "trace_counts",
]
