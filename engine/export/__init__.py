"""Exports: one writer for each format, whole or not at all."""
