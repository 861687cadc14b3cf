"""The data of the page: the document, the offline file, and the server of arrays."""
