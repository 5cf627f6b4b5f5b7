"""Pictures and sound: probing, decoding, clips on the one clock, shots, loudness."""
