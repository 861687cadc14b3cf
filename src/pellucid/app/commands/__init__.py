"""A file for each command: its arguments, its help text, and `run(arguments) -> exit status`."""
