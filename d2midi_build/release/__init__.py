"""Releases: immutable, versioned, checksummed sets of shards.

what one is     format (layout, manifest), licences
making one      contents <- workspace;  build = planning (with splits/) + shards + assembly (with card) + staging
                    + checking, whose check comes from outside
checking one    gates (small tables) + shard_gates (large ones), which collect offenders;  verify
reading one     reader = catalogue (tables, windows) + stored (arrays of shards) + local (files, cache)
                    + coordinates
"""
