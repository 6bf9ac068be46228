"""The dictionary of tasks, and how their labels are derived."""
