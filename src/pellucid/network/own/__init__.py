"""A user's own nn.Module as a network: checked, then written in our text if possible, or else as a program."""
