"""What runs beyond one process: predictions on a cluster by Ray Data."""
