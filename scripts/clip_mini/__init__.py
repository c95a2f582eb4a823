"""How `clip-mini` is made: a teacher's features, a space fitted on them, and a student."""
