"""Rows that were made before: in this process's memory, in Redis, or in one before the other."""
