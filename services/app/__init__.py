"""The composition root: settings, wiring, life of the process."""
