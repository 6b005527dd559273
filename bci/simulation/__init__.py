"""Simulated participants, neurons and worlds, seeded and reproducible."""
