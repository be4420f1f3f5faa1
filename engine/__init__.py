"""Stormdeck's engine: archives, forecasters, verification and exports, with no screen attached.

Nothing in this package imports Qt. The window reaches it through :mod:`engine.service`,
the terminal through :mod:`engine.commands`.
"""

__version__ = "0.1.0"
