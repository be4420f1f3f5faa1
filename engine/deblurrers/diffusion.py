"""The schedule of denoising diffusion, which networks that draw share: :mod:`engine.networks.noise_schedule`."""

from __future__ import annotations

from engine.networks.noise_schedule import Field, Schedule, Values

__all__ = ["Field", "Schedule", "Values"]
