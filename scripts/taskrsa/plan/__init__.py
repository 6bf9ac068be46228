"""What a run consists of: its configuration, its tasks, networks and targets, and their files."""
