"""Family "node2vec": vectors of graph nodes (Grover and Leskovec, 2016)."""
