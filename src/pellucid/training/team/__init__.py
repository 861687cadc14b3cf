"""The processes that train one network together: joined, and each with its share."""
