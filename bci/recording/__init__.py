"""Recordings: reading them, writing them, playing them back."""
