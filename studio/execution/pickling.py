"""Functions, items and results as bytes, so that a module that arrives somewhere can also be let go of there."""

from __future__ import annotations

import copyreg
import io
import pickle
from typing import Any

import equinox as eqx
from ray.cloudpickle import Pickler

from .._checks import StudioError

# What stands first where an object is pickled as Python itself does it.
_MADE_BY_NEW = copyreg.__newobj__  # pyright: ignore[reportAttributeAccessIssue]


def dumps(thing: Any) -> bytes:
    """The thing as bytes for `loads`: whatever Ray can pickle, functions and classes of a script too.

    **Raises** `StudioError` for a module whose class workers cannot import, and what pickle raises where a thing cannot be pickled.
    """
    stream = io.BytesIO()
    _Pickler(stream).dump(thing)
    return stream.getvalue()


def loads(content: bytes) -> Any:
    """The thing that `dumps` was given."""
    return pickle.loads(content)


class _Pickler(Pickler):
    """Has modules made by `object.__new__`, as equinox itself makes them in `tree_unflatten`.

    The `__new__` of equinox 0.13 (equinox/_module/_module.py) notes every instance in a set of modules that are being
    initialised, and only the call of the class strikes it off. Python's own way to unpickle, `cls.__new__(cls)`, is not
    that call: the process would keep every module that ever arrived, with its arrays.
    """

    def reducer_override(self, obj: Any) -> Any:
        if _made_on_the_spot(obj):
            # Its code would travel, but JAX would not know its fields there: no leaves, no arrays, and no error.
            problem = f"workers cannot import the class {obj.__qualname__}, which a script or a function defines"
            raise StudioError(f"{problem}: move it to a .py file of its own and import it from there")
        # A module that brings its own way to be restored, or has slots, may set attributes as only that set permits, and is
        # left to Python: it is kept.
        if type(obj).__new__ is eqx.Module.__new__ and not hasattr(obj, "__setstate__"):
            match obj.__reduce_ex__(self.proto):
                case (make, (cls,), dict() | None as state, *_) if make is _MADE_BY_NEW:
                    return object.__new__, (cls,), state
        return super().reducer_override(obj)


def _made_on_the_spot(thing: Any) -> bool:
    """Whether it is a class of modules that lives in a script or in a function, so that it cannot be imported by its name."""
    if not (isinstance(thing, type) and issubclass(thing, eqx.Module)):
        return False
    return thing.__module__ == "__main__" or "<locals>" in thing.__qualname__
