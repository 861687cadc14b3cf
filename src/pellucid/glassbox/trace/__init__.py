"""A picture's run through a module, recorded and verified, and any number of it worked out."""
