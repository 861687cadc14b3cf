"""What runs beyond one process: a training by several processes, and pictures classified on a cluster by Ray."""
