"""Read models that Keras saved, without Keras: their layers and weights become a network of ours."""
