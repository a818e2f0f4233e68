"""Colours and type that all pictures share. Colours are told apart by everyone: cividis for amounts, the palette of Okabe
and Ito (2008) for kinds."""

from __future__ import annotations

from typing import Any

STYLE: dict[Any, Any] = {
    "font.size": 12.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "svg.hashsalt": "studio",
}
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, WALL, UNLIT, BEFORE = "#222222", "#8a8a8a", "#e4e4e4", "#b8b8b8"
AMOUNTS = "cividis"
DPI = 150
