"""The operator's terminal: what is shown, and which keys do what."""
