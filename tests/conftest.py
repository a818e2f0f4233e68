"""Double precision before the first array, as every entry point of the studio sets it."""

import jax

jax.config.update("jax_enable_x64", True)
