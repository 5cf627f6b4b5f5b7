"""Fetching the videos that sources name.

``options`` holds the knobs, ``resolve`` finds the videos behind an address,
``download`` fetches one, ``client`` is yt-dlp as it is used here,
``messages`` types what sites say, ``identity`` names videos, ``sites`` paces the run. ``resolve``,
``download`` and ``client`` import yt-dlp (half a second), the others do not.
"""
