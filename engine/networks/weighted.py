"""What everything that runs on a weight file has in common; read without torch."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.networks.weights import Header


class Weighted:
    """weights: a file of :mod:`engine.networks.weights`; what it tells is read when it is first asked for.

    Raises UnreadableInput where the file is damaged or does not fit its own configuration.
    """

    weights: Path

    @cached_property
    def header(self) -> Header:
        from engine.networks.weights import read_header

        return read_header(self.weights)

    @property
    def weights_sha256(self) -> str:
        return self.header.sha256
