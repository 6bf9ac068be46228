"""Training of encoders, fine-tuning, checkpoints and probes."""
