"""Denoising diffusion in closed form (Ho, Jain and Abbeel 2020; steps left out as in Song, Meng and Ermon 2021 and
Nichol and Dhariwal 2021). Steps are counted from 0 here, from 1 in the papers: step k is their t = k + 1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Field = Any
"""A numpy array or a tensor; numbers of the schedule are plain floats."""


@dataclass(frozen=True)
class Schedule:
    """betas: (T,) noise variances in (0, 1). steps: (T,), what each is called in the full schedule."""

    betas: tuple[float, ...]
    steps: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.betas) != len(self.steps) or not all(0 < beta < 1 for beta in self.betas):
            raise ValueError("a schedule needs a variance between 0 and 1 for each step")

    @classmethod
    def linear(cls, count: int = 1000, first: float = 1e-4, last: float = 0.02) -> Schedule:
        """PostCast paper, A.3."""
        return cls(tuple(float(beta) for beta in np.linspace(first, last, count)), tuple(range(count)))

    @classmethod
    def sigmoid(cls, count: int = 1000, start: float = -3.0, end: float = 3.0) -> Schedule:
        """Signal shares along a logistic curve (Jabri, Fleet and Chen 2023, figure 8); DiffCast's."""
        place = np.linspace(start, end, count + 1)
        falls = 1.0 / (1.0 + np.exp(-end)) - 1.0 / (1.0 + np.exp(-place))
        betas = np.clip(1.0 - falls[1:] / falls[:-1], 1e-9, 0.999)
        return cls(tuple(float(beta) for beta in betas), tuple(range(count)))

    def respaced(self, count: int) -> Schedule:
        """``count`` of the steps, evenly spread, first and last among them; signal shares at those are the same."""
        if not 2 <= count <= len(self.betas):
            raise ValueError(f"between 2 and {len(self.betas)} steps are possible, not {count}")
        kept = np.rint(np.linspace(0, len(self.betas) - 1, count)).astype(int)
        left = np.concatenate(([1.0], self.signal[kept]))
        return Schedule(tuple(float(beta) for beta in 1.0 - left[1:] / left[:-1]), tuple(self.steps[k] for k in kept))

    def __len__(self) -> int:
        return len(self.betas)

    @cached_property
    def signal(self) -> Values:
        """(T,) the product of 1 - beta so far: the papers' alpha with a bar."""
        return np.asarray(np.cumprod(1.0 - np.array(self.betas)), np.float64)

    def signal_before(self, step: int) -> float:
        return float(self.signal[step - 1]) if step else 1.0

    def noised(self, clean: Field, step: int, noise: Field) -> Field:
        """Forward process: what is left of a clean field, and the noise that came (Ho, equation 4)."""
        share = float(self.signal[step])
        return share**0.5 * clean + (1.0 - share) ** 0.5 * noise

    def clean(self, noisy: Field, step: int, noise: Field) -> Field:
        """The way back, where the noise is known (Ho, equation 15)."""
        share = float(self.signal[step])
        return (noisy - (1.0 - share) ** 0.5 * noise) / share**0.5

    def noise(self, noisy: Field, step: int, clean: Field) -> Field:
        """The noise that made a noisy field of a clean one."""
        share = float(self.signal[step])
        return (noisy - share**0.5 * clean) / (1.0 - share) ** 0.5

    def velocity(self, clean: Field, step: int, noise: Field) -> Field:
        """What some networks predict in place of the noise (Salimans and Ho 2022, appendix D)."""
        share = float(self.signal[step])
        return share**0.5 * noise - (1.0 - share) ** 0.5 * clean

    def clean_of_velocity(self, noisy: Field, step: int, velocity: Field) -> Field:
        """The way back, where the velocity is known."""
        share = float(self.signal[step])
        return share**0.5 * noisy - (1.0 - share) ** 0.5 * velocity

    def weights(self, step: int) -> tuple[float, float]:
        """Of the clean and of the noisy field in the mean of the step before (Ho, equation 7)."""
        share, before, beta = float(self.signal[step]), self.signal_before(step), self.betas[step]
        return before**0.5 * beta / (1.0 - share), (1.0 - beta) ** 0.5 * (1.0 - before) / (1.0 - share)

    def variance(self, step: int) -> float:
        """Of the step before, given the clean field (Ho, equation 7); 0 at the last step."""
        return (1.0 - self.signal_before(step)) / (1.0 - float(self.signal[step])) * self.betas[step]

    def mean(self, clean: Field, noisy: Field, step: int) -> Field:
        """Of the step before, drawn as the full process would."""
        first, second = self.weights(step)
        return first * clean + second * noisy

    def implicit_mean(self, clean: Field, noisy: Field, step: int, spread: float = 0.0) -> Field:
        """Of the step before, drawn with ``spread`` times the standard deviation (Song, equation 12); 0 draws
        nothing, 1 is :meth:`mean`."""
        before = self.signal_before(step)
        rest = max(0.0, 1.0 - before - spread**2 * self.variance(step)) ** 0.5
        return before**0.5 * clean + rest * self.noise(noisy, step, clean)
