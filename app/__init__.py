"""Stormdeck's workstation: the screen in front of the engine. PySide6 and pyqtgraph, never torch."""
