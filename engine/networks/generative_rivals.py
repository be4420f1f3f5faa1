"""Discriminators that recipes name beside those of the DB-RNN paper; options are those of the class."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from engine.networks.dgmr_discriminators import ClipDiscriminators
from engine.networks.strpm_discriminator import PerceptualDiscriminator

RIVALS: dict[str, Callable[..., nn.Module]] = {"dgmr": ClipDiscriminators, "strpm": PerceptualDiscriminator}
