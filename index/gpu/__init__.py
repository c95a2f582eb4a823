"""Copies of segments' indexes on a GPU."""
