"""The participant's display: a local web page that shows the task, and a spectator's view of it."""
