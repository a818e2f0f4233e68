"""What every entry point of the studio sets before the first array; annotations checked while tests run where asked for."""

import contextlib
import ctypes
import gc
import os
import shutil
import tempfile
from pathlib import Path

from studio import _xla

_xla.prepare()

import jax  # noqa: E402
import pytest  # noqa: E402
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

# Where the processes of one test run keep compiled programs for each other, for as long as it takes.
_PROGRAMS = "STUDIO_TEST_PROGRAMS"


def pytest_configure(config):
    if _PROGRAMS not in os.environ:
        os.environ[_PROGRAMS] = tempfile.mkdtemp(prefix="studio-programs-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(_PROGRAMS), ignore_errors=True))
    jax.config.update("jax_compilation_cache_dir", os.environ[_PROGRAMS])


# A test process that holds more than this lets go of its compiled programs: they add up to 7 GB otherwise.
_ENOUGH = 3.5e9  # bytes


def _held() -> float:
    """Resident memory of this process (bytes); nothing is known where Linux's /proc is missing."""
    file = Path("/proc/self/statm")
    return int(file.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if file.exists() else 0.0


@pytest.fixture(autouse=True)
def _memory():
    yield
    if _held() > _ENOUGH:
        jax.clear_caches()
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # another C library keeps what it has
            ctypes.CDLL("libc.so.6").malloc_trim(0)
