"""What is saved, loaded and asked: network, weights, classes, preprocessing, calibration."""
