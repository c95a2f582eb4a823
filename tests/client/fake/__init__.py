"""A small server that answers from numpy, over a real gRPC channel."""
