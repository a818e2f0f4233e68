"""Double precision and compiler flags before the first array, as every entry point of the studio sets them."""

from studio import _xla

_xla.prepare()

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)
