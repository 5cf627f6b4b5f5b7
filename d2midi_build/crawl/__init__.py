"""Fetching the videos that sources name.

``options`` holds the knobs, ``download`` resolves and fetches, ``client`` is yt-dlp as it is used here,
``messages`` types what sites say, ``identity`` names videos, ``sites`` paces the run. ``download`` and
``client`` import yt-dlp (half a second), the others do not.
"""
