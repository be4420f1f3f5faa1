"""Benchmarks run as the program does: idle compute threads sleep, so that processor time is work and not waiting."""

from engine.device import calm_threads

calm_threads()
