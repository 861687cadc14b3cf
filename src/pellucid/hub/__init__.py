"""Repositories on a model hub: their names, reading them, writing them. Only the last two import `huggingface_hub`."""
