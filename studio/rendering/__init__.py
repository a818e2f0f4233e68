"""Rendering: figures of events, layouts and histories."""
