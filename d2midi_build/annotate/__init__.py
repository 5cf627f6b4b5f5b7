"""Note correction: what people change in the notes of clips, who did, why, and which layers follow from it."""
