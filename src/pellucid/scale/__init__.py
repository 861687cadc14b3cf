"""Beyond one process: trainings that several processes share."""
