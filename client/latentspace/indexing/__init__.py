"""Indexing jobs: whole sources into collections, stopped and resumed at will."""
