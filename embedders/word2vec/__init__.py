"""Family "word2vec": vectors of words, loaded or trained (Mikolov and others, 2013)."""
