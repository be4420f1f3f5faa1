"""Forecasters: the last frames of an archive in, one frame per lead time out."""
