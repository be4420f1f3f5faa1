"""Synthetic storms: seeded sequences of rain-rate frames that look and move like radar."""
