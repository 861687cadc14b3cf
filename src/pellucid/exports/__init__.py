"""Write a classifier for other programs or a browser, and compare it with the model on real pictures; push to a hub."""
