"""A model trained further by hand, step by step: its settings change, and each change and each run can be undone."""
