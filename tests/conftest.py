"""What every entry point of the studio sets before the first array; annotations checked while tests run where asked for."""

import os

from studio import _xla

_xla.prepare()

import jax  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

import tests.type_checking  # noqa: E402, F401

jax.config.update("jax_enable_x64", True)

# Studies of tests are recorded where a test asks for it, and nowhere else.
os.environ["STUDIO_TRACKING_URI"] = "none"

# Rooms of the studio, separated by commas, whose annotations (shapes, dtypes, types) are enforced in this test run.
_CHECKED = [
    f"studio.{room}" for room in os.environ.get("STUDIO_TYPED_ROOMS", "geometry,detector,execution").split(",") if room
]
install_import_hook(_CHECKED, "tests.type_checking.typechecked")
