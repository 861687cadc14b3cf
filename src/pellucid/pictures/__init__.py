"""Files become arrays: catalogued, decoded once, and split without leaks."""
