"""Which sequences a step sees: worked out from the seed and the step alone, so that a run can go on anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ORDER, _SAMPLE = 1, 2  # streams of random numbers that share a seed


@dataclass(frozen=True)
class Order:
    """count: sequences there are. batch: of a step. chances: of each sequence, all alike and each once an epoch
    where None; an epoch then draws with repetition. endless: each epoch shows other sequences, numbered on."""

    count: int
    batch: int
    seed: int
    chances: tuple[float, ...] | None = None
    endless: bool = False

    @property
    def steps_per_epoch(self) -> int:
        return max(1, self.count // self.batch)

    def epoch(self, step: int) -> float:
        """Epochs done before this step, parts included."""
        return step / self.steps_per_epoch

    def of_step(self, step: int) -> NDArray[np.intp]:
        """(batch,) numbers of sequences."""
        epoch, place = divmod(step, self.steps_per_epoch)
        shown = _epoch_order(self, epoch)[place * self.batch:(place + 1) * self.batch]
        return shown + epoch * self.count if self.endless else shown


@lru_cache(maxsize=4)
def _epoch_order(order: Order, epoch: int) -> NDArray[np.intp]:
    draw = np.random.default_rng([order.seed, _ORDER, epoch])
    wanted = order.steps_per_epoch * order.batch
    if order.chances is not None:
        return draw.choice(order.count, wanted, p=np.array(order.chances))
    rounds = -(-wanted // order.count)
    return np.concatenate([draw.permutation(order.count) for _ in range(rounds)])[:wanted].astype(np.intp)


def sample_draw(seed: int, step: int, position: int) -> np.random.Generator:
    """The random numbers of one place in the batch of one step."""
    return np.random.default_rng([seed, _SAMPLE, step, position])


def rain_chances(shares: NDArray[np.floating], bias: float) -> tuple[float, ...] | None:
    """shares: (n,) of rainy cells. Each chance is (1 - bias) / n + bias * share / sum of shares; None for bias 0 or
    no rain at all."""
    total = float(shares.sum())
    if bias <= 0 or total <= 0:
        return None
    chances = (1 - bias) / shares.size + bias * shares.astype(np.float64) / total
    return tuple(float(chance) for chance in chances / chances.sum())


def report(chances: tuple[float, ...] | None, count: int) -> dict[str, Any]:
    """What the weights are: least and most against all alike, and how many sequences would be as diverse."""
    if chances is None:
        return {"weighted": False, "sequences": count}
    weights = np.array(chances) * count
    return {"weighted": True, "sequences": count, "least": float(weights.min()), "median": float(np.median(weights)),
            "most": float(weights.max()), "effective_sequences": float(1 / np.square(np.array(chances)).sum())}
