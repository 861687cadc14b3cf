"""Files become arrays: what is in a folder, decoded once, split without leaks."""
