"""Other vector databases on the same vectors, each in its own process and environment."""
