"""Losses by name. A recipe names them; rain rates become the unit of the network's frames here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import WrongUsage
from engine.losses.balanced import CLASS_EDGES_MM_H, Balanced
from engine.losses.differential_divergence import DifferentialDivergence
from engine.losses.exceedance import Exceedance
from engine.losses.focal import Focal
from engine.losses.frames import FrameLoss, Pixels
from engine.losses.gdl import GDL
from engine.losses.mae import MAE
from engine.losses.mse import MSE
from engine.losses.ssim import SSIM

ADVERSARIAL = "adversarial"
FEATURES = "features"
"""Both ask a discriminator."""


GRID_CELL_EDGES_MM_H = tuple(float(rate) for rate in range(1, 24))
GRID_CELL_WEIGHTS = tuple(float(rate) for rate in range(1, 25))
"""DGMR's weights min(rain rate + 1, 24), in steps of 1 mm/h (Ravuri et al. 2021, methods)."""


@dataclass(frozen=True)
class Wish:
    """pixels: None for the loss's own convention. unit: mm/h to the unit of the network's frames. thresholds: mm/h,
    of the losses that have some, and their weights. focal: k and epsilon of the focal frame loss around it, None
    without."""

    unit: Callable[[float], float]
    pixels: Pixels | None = None
    thresholds: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    focal: tuple[float, float] | None = None


def _balanced(wish: Wish, power: int) -> FrameLoss:
    return Balanced(tuple(wish.unit(edge) for edge in CLASS_EDGES_MM_H), power, pixels=wish.pixels or "sum")


def _exceedance(wish: Wish) -> FrameLoss:
    if not wish.thresholds:
        raise WrongUsage("The loss 'exceedance' needs thresholds in mm/h.")
    return Exceedance(tuple(wish.unit(edge) for edge in wish.thresholds), wish.weights, pixels=wish.pixels or "mean")


LOSSES: dict[str, Callable[[Wish], FrameLoss]] = {
    "mse": lambda wish: MSE(wish.pixels or "sum"),
    "mae": lambda wish: MAE(wish.pixels or "sum"),
    "b-mse": lambda wish: _balanced(wish, 2),
    "b-mae": lambda wish: _balanced(wish, 1),
    "gdl": lambda wish: GDL(wish.pixels or "sum"),
    "grid-cell": lambda wish: Balanced(tuple(wish.unit(edge) for edge in GRID_CELL_EDGES_MM_H), 1, GRID_CELL_WEIGHTS,
                                       wish.pixels or "mean"),
    "differential-divergence": lambda wish: DifferentialDivergence(pixels=wish.pixels or "sum"),
    "ssim": lambda wish: SSIM(pixels=wish.pixels or "mean"),
    "exceedance": _exceedance,
}


def frame_loss(name: str, wish: Wish) -> FrameLoss:
    """Raises WrongUsage for a name that is not in :data:`LOSSES`."""
    if name not in LOSSES:
        raise WrongUsage(f"There is no loss called '{name}'. Known: {', '.join((*LOSSES, ADVERSARIAL, FEATURES))}.")
    made = LOSSES[name](wish)
    return made if wish.focal is None else Focal(made, *wish.focal)
