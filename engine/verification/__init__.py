"""Verification: counts of events, scores from counts, errors of fields, pooling, and the table of all leads."""
