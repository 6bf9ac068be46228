"""Labelled sets to fine-tune on: devkits, folders, CSV files."""
