"""Simulated participants, neurons and worlds, seeded and reproducible."""

from bci.compiled import ensure_cache

ensure_cache()
