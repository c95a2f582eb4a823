"""Cropped faces to vectors."""
