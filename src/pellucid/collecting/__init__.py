"""Pictures that somebody collects by camera, drawing or file, kept on disk as a folder per class."""
