"""Write a classifier for other programs, a browser or a hub, and compare it with the model on real pictures."""
