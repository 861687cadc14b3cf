"""Where a network looked, what made the difference, what each filter sees, and how far to trust the answers."""
