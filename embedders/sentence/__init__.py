"""Family "sentence": texts to vectors with any sentence-transformers model."""
