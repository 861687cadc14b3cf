"""How the arithmetic runs: device, precision, frozen networks; blocks/ for convolution + ReLU + pooling as one step."""
