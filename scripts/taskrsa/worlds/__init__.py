"""Simulated scenes: indoor rooms and the outdoor world."""
