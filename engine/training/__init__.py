"""Learning: packs of sequences."""
