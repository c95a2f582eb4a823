"""The wire: the only code that imports grpc."""
