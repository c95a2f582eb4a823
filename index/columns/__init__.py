"""Payload columns of a segment: what filters read."""
