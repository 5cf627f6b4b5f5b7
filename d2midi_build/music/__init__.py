"""Notes, instruments, MIDI, synthesis, drums, separation and note scores."""
