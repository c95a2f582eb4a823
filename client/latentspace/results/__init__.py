"""What calls return: frozen values, numpy arrays where there are many numbers."""
