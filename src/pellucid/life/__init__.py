"""A finished training made again, bit for bit, to see what made each number: its steps, and their pictures."""
