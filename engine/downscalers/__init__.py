"""Downscalers: a sequence on a finer grid and at more times, chained behind any forecaster."""
