"""Rows in, neighbours out: durable, mutable, filtered collections over FAISS."""
