"""Which network will transfer: measures that look at a target's labelled images."""
