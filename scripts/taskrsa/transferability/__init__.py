"""Which network will transfer: measures that look at a target's labelled images."""

TAP = "tap"  # the layer that the head of fine-tuning sees
FEWEST_TARGETS = 3  # of a study, which leaves one out and chooses on the others
