"""Models that Keras saved, read without Keras: its layers and weights become a network of ours."""
