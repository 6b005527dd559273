"""How one talks to a device that answers questions: steps, their exchange over a port, joints."""
