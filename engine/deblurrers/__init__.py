"""Deblurrers: a forecast in, the same forecast sharper out; any forecaster's, any lead time."""
