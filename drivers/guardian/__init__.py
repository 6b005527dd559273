"""The process that owns the devices: who may move them, how far, and whether they can be believed."""
