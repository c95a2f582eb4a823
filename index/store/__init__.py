"""The truth on disk: one SQLite file a collection, written by one thread."""
