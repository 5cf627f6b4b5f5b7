"""Fetching the videos that sources name.

``options`` holds the knobs, ``download`` resolves and fetches through yt-dlp, ``messages`` types what sites
say, ``identity`` names videos, ``sites`` paces the run. Only ``download`` imports yt-dlp.
"""
