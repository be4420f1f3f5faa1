"""DB-RNN's deblurring network as a stage of its own (MS-RNN-S; DB-RNN paper, section V-G): the lead times of anybody's
forecast go through a recurrent network one after the other and come out sharper.

In the paper the network has seen what the forecaster made of the observed steps; others' forecasts have no such
frames, so that here it is shown the last observation first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.deblurrers.protocol import Blurry, Context, Observation, Options, Sharpened, told_of_pixels
from engine.networks.weighted import Weighted
from engine.radar.scaling import rain_rate_of_pixel, unit_pixel
from engine.radar.units import ZR


@dataclass
class SequenceStage(Weighted):
    """weights: a file of :mod:`engine.networks.weights`, of a network that gives a sequence for a sequence.

    Raises UnreadableInput where the file is damaged or does not fit its own configuration.
    """

    weights: Path
    draws = False

    def at_once(self, device: str) -> int:
        """All lead times, in order: what it knows comes from those before."""
        return 0

    def notes(self, observation: Observation) -> tuple[str, ...]:
        """What the user should know about this archive and these weights."""
        return told_of_pixels(self.header.name, self.header.pixel_km, observation)

    def sharpen(self, blurry: Blurry, options: Options, context: Context) -> Iterator[Sharpened]:
        """Yields each frame as soon as it is made. Asks the token before every layer of every step."""
        import torch

        from engine.networks.rollout import asking
        from engine.networks.weights import load

        zr = ZR(self.header.zr_a, self.header.zr_b)
        context.progress(0.0, f"loading {self.header.name}")
        network = load(self.weights)[0].to(context.device)
        high, wide = blurry.frames.shape[1:]
        edges = [(0, -side % int(network.grid_multiple)) for side in (high, wide)]  # type: ignore[arg-type]
        shown = [np.nan_to_num(np.asarray(blurry.observation.rain_rate)), *blurry.frames]
        frames = (torch.from_numpy(np.pad(unit_pixel(frame, zr), edges))[None, None].to(context.device)
                  for frame in shown)
        with torch.no_grad(), asking(network, context.token.check):
            for number, sharp in enumerate(network.sharpened(frames)):  # type: ignore[operator]
                if number:
                    unit = sharp[0, 0, :high, :wide].clamp(0.0, 1.0).cpu().numpy()
                    context.progress(number / len(blurry.frames), f"sharpening: {number} of {len(blurry.frames)}")
                    yield Sharpened(rain_rate_of_pixel(unit, zr))
