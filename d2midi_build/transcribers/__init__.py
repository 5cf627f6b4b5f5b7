"""Transcribers: audio in, notes out. ``base`` holds the contract, every sibling is one transcriber."""
