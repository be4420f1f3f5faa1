"""How the layers of a recurrent network are stacked and skipped; tuples of data that any cell can fill."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """scale: 0 is the full grid, 1 half of it along each axis, 2 a quarter. skips: layers whose hidden output is
    added to the input. reads: a frame is read out after this layer; what follows sees that frame."""

    scale: int
    skips: tuple[int, ...] = ()
    reads: bool = False


STACKED = (Layer(0), Layer(0), Layer(0, reads=True))
"""FFL paper, Figure 1."""

MULTI_SCALE = (Layer(0), Layer(1), Layer(2), Layer(2), Layer(1, (1,)), Layer(0, (0,), reads=True))
"""MS-RNN: DB-RNN paper, section III-B, Figure 2."""

DEBLURRING = (
    *MULTI_SCALE,
    Layer(0, (5,)), Layer(1, (4,)), Layer(2, (3,)), Layer(2, (2,)), Layer(1, (7, 1)), Layer(0, (6, 0), reads=True),
)
"""DB-RNN: equations 2 to 6; the deblurring module sees the forecasting module's hidden states."""

TOPOLOGIES = {"stacked": STACKED, "multi-scale": MULTI_SCALE, "deblurring": DEBLURRING}
