"""Shapes, dtypes and types of annotations are checked while tests run (see pyproject.toml); a whole number is a float."""

from beartype import BeartypeConf, beartype

typechecked = beartype(conf=BeartypeConf(is_pep484_tower=True))
