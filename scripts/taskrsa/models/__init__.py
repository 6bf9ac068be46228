"""Networks of the paper: the Taskonomy encoder and the decoders that train it."""
