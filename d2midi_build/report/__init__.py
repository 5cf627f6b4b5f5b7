"""What people look at: previews of clips."""
