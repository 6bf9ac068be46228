"""Which network will transfer to a target: measures that look at its labels, and a race."""
