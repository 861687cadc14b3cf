"""The classifier and its folder: network, weights, classes, preprocessing, calibration."""
