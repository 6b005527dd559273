"""Decoders: from features to intended velocity."""
