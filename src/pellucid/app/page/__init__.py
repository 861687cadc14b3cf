"""The served page: a model and a picture, opened in the reader's browser."""
