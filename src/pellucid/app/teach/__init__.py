"""The page that collects pictures, trains on them and tries the result: `pellucid teach`."""
