"""A picture's run through a module: recorded, verified, and worked out number by number."""
