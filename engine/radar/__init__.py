"""Radar fields: quantities, grids, sequences, and the one place where values become pixels."""
