"""What every entry point of the studio sets before the first array, and annotations checked while tests run."""

from studio import _xla

_xla.prepare()

import jax  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

import tests.type_checking  # noqa: E402, F401

jax.config.update("jax_enable_x64", True)

_CHECKED = ("geometry", "medium", "detector", "event", "simulation", "inference", "execution")
install_import_hook([f"studio.{room}" for room in _CHECKED], "tests.type_checking.typechecked")
