"""Assistive devices: codecs, the transport, and the guardian that alone may move them."""
