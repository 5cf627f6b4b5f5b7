"""Takes that belong together: the same music, the same performer, the same video.

``repeats`` finds pairs by comparing fingerprints and keeps them; ``membership`` makes groups of pairs and of what is
known by name.
"""
