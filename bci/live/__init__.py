"""A running session: its processes, the real-time loop and how they end."""
