"""Notes as tokens for sequence models; needs no torch. ``quad`` is ours, ``remi`` goes through miditok."""
