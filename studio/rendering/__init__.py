"""Rendering: figures, three-dimensional pictures and interactive pages of events, layouts and histories."""
