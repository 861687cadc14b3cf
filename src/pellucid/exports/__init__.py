"""A classifier for other programs: one file that holds all of it, checked on real pictures before it is handed out."""
