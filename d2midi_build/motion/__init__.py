"""What moves: keypoints of the dancer, who is in the picture, and how much changes."""
