"""The discriminator that trains STRPM (Chang et al. 2022): is a frame observed, and what does it look like?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LAST_SIDE = 4


class PerceptualDiscriminator(nn.Module):
    """3 x 3 convolutions of stride 2 with group norms and ReLU, then one number between 0 (made) and 1 (observed).

    hidden: channels of all of them. halvings: how many. What they give before the last layer are the ``features`` by
    which training compares forecast and truth. The release goes down to one row and so belongs to one size of frame;
    here a mean over 4 x 4 parts takes any size.
    """

    def __init__(self, hidden: int = 64, halvings: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for level in range(halvings):
            layers += [nn.Conv2d(hidden if level else 1, hidden, 3, stride=2, padding=1), nn.GroupNorm(4, hidden),
                       nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(LAST_SIDE), nn.Flatten())
        self.judge = nn.Sequential(nn.Linear(hidden * LAST_SIDE**2, 1), nn.Sigmoid())

    def forward(self, frames: Tensor) -> Tensor:
        """frames: (N, 1, H, W) scaled. Returns (N, 1)."""
        return torch.as_tensor(self.judge(self.features(frames)))
