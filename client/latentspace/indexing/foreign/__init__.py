"""Collections of other vector databases, read through their own clients."""
