"""From what a participant meant to a decoder that follows: labels, fitting, metrics."""
