"""Note correction in Label Studio: tasks made of sheets, and what people left in them read back."""
