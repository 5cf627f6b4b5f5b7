"""Releases: immutable, versioned, checksummed sets of shards, and how to read them."""
