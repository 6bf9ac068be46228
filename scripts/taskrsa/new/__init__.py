"""What `python -m taskrsa new` does: a table of networks and a configuration for a target."""
