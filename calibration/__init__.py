"""From what a participant meant to a decoder that follows: labels, fitting, metrics."""

from bci.compiled import ensure_cache

ensure_cache()
