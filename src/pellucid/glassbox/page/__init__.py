"""What the page shows: the document, one file that needs nothing else, and the server of arrays."""
