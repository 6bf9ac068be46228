"""Which network will transfer to a target: measures that look at its labels, and a race."""

TAP = "tap"  # the layer that the head of fine-tuning sees
FEWEST_TARGETS = 3  # of a study, which leaves one out and chooses on the others
