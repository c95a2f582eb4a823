"""What the service does, without the wire: models, batching, collections, queries."""
