"""A user's own nn.Module as a network: checked, written in our text where it can be, or else as a program."""
