"""How good people and machine are: errors planted on purpose, and excerpts written down without help."""
