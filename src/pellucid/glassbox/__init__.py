"""Every number, forward, backward and updated."""
