"""An open real-time brain-computer interface decoder for motor assistance.

This file stays empty of imports on purpose: the guardian process and the command line start in milliseconds.
"""

__version__ = "0.1.0"
