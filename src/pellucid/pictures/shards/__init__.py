"""Shards: files that hold many pictures each, WebDataset tars and Parquet files.

A picture in a shard has a path as if the shard were a folder, `train-000000.tar/cat/0001.jpg`: `reading` reads it.
"""
