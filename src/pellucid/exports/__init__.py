"""Write a classifier as one file for other programs, and compare the file with the model on real pictures."""
