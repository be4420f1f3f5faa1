"""Networks that draw: each member of an ensemble is one draw, and a single forecast is one member.

Random numbers are laid over the whole domain, so that tiles of a member go together; they follow from the seed, the
number of the member and that of the block of lead times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.forecasters.neural import NeuralForecaster
from engine.forecasters.protocol import Context, Inputs, LeadFrame, Options

if TYPE_CHECKING:
    from torch import nn

Frame = NDArray[np.float32]


@dataclass
class GenerativeForecaster(NeuralForecaster):
    """seed: of the member that :meth:`run` makes when one is asked for; set by it."""

    seed: int = 0

    draws = True

    def run(self, inputs: Inputs, options: Options, context: Context) -> Iterator[LeadFrame]:
        """Yields the lead times, (member, ny, nx) where more than one member is asked for: these come when all
        members are there. Raises NotEnoughInput, Cancelled."""
        if options.members == 1:
            yield from replace(self, seed=_seed(options.seed, 0))._member(inputs, options, context)
            return
        found: list[list[LeadFrame]] = []
        for member in range(options.members):
            one = replace(self, seed=_seed(options.seed, member))
            found.append(list(one._member(inputs, options, _share(context, member, options.members))))
        for same_lead in zip(*found, strict=True):
            yield LeadFrame(same_lead[0].lead_minutes, np.stack([frame.rain_rate for frame in same_lead]))

    def _member(self, inputs: Inputs, options: Options, context: Context) -> Iterator[LeadFrame]:
        return super().run(inputs, options, context)

    def _forecast(self, network: nn.Module, frames: Frame, leads: int, context: Context, device: str,
                  side: int) -> Iterator[Frame]:
        from engine.forecasters.block_tiles import Domain
        from engine.networks.rollout import asking

        tiles = self._tiles(network, (frames.shape[1], frames.shape[2]), side)
        network.to(device)
        with asking(network, context.token.check):
            domain = Domain(network, tiles, device, self.half, self.tiling.kept_bytes // 4, self.seed)
            yield from domain.frames(frames, leads, context)


def _seed(seed: int, member: int) -> int:
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0])


def _share(context: Context, member: int, members: int) -> Context:
    """Reports a member's progress as its share of all members'."""
    def progress(fraction: float, text: str) -> None:
        context.progress((member + fraction) / members, f"member {member + 1} of {members}: {text}")

    return replace(context, progress=progress)
