"""The U-Nets that FC-ZSM is compared with. The paper gives their names and no more (Chen et al. 2022, Table 1; its
UNet3D is the "DCN" of Serifi et al. 2021): widths, depth and heads are ours, docs/downscaling.md lists them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.trilinear import bilinear, silenced, trilinear


class PlanarUNet(nn.Module):
    """``unet``: the frames as channels of one image; the last layer makes all finer frames at once by a pixel
    shuffle. inputs: frames in; out come 2 inputs - 1. residual: it gives what is to be added to the frames refined
    trilinearly, nothing at first. guided: the frames in between are handed in as well, coarse."""

    def __init__(self, inputs: int = 2, widths: Sequence[int] = (64, 128, 256, 512), residual: bool = False,
                 guided: bool = False) -> None:
        super().__init__()
        self.residual, self.guided = residual, guided
        self.frames, self.multiple = 2 * inputs - 1, 2 ** (len(widths) - 1)
        shown = self.frames if guided else inputs
        self.down = nn.ModuleList(_twice(nn.Conv2d, before, after)
                                  for before, after in zip((shown, *widths[:-1]), widths, strict=True))
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(before, after, 2, 2) for before, after in pairs)
        self.join = nn.ModuleList(_twice(nn.Conv2d, 2 * after, after) for _, after in pairs)
        self.last = nn.Conv2d(widths[0], 4 * self.frames, 1)
        if residual:
            silenced(self.last)

    def forward(self, frames: Tensor) -> Tensor:
        """frames: (B, T, 1, H, W) in [0, 1], guided (B, 2 T - 1, 1, H, W); returns (B, 2 T - 1, 1, 2 H, 2 W)."""
        height, width = frames.shape[3:]
        image = frames[:, :, 0]
        high, wide = -height % self.multiple, -width % self.multiple
        values = F.pad(image, (0, wide, 0, high), mode="replicate") if high or wide else image
        out = F.pixel_shuffle(self.last(_walk(self, values, 2)), 2)[:, :, None, : 2 * height, : 2 * width]
        return out + _refined(self, image)[:, :, None] if self.residual else out


class SpaceTimeUNet(nn.Module):
    """``unet3d``: the frames refined trilinearly, then a U-Net of three-dimensional convolutions that halves space
    alone. Without ``residual`` it gives the frames themselves, the form that Serifi et al. found better for rain.
    guided: as in the planar one."""

    def __init__(self, widths: Sequence[int] = (32, 64, 128, 256), residual: bool = False,
                 guided: bool = False) -> None:
        super().__init__()
        self.residual, self.guided = residual, guided
        self.multiple = 2 ** (len(widths) - 1)
        self.down = nn.ModuleList(_twice(nn.Conv3d, before, after)
                                  for before, after in zip((1, *widths[:-1]), widths, strict=True))
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose3d(before, after, (1, 2, 2), (1, 2, 2)) for before, after in pairs)
        self.join = nn.ModuleList(_twice(nn.Conv3d, 2 * after, after) for _, after in pairs)
        self.last = nn.Conv3d(widths[0], 1, 1)
        if residual:
            silenced(self.last)

    def forward(self, frames: Tensor) -> Tensor:
        """frames: (B, T, 1, H, W) in [0, 1], guided (B, 2 T - 1, 1, H, W); returns (B, 2 T - 1, 1, 2 H, 2 W)."""
        height, width = 2 * frames.shape[3], 2 * frames.shape[4]
        fine = _refined(self, frames[:, :, 0])
        high, wide = -height % self.multiple, -width % self.multiple
        values = F.pad(fine[:, None], (0, wide, 0, high, 0, 0), mode="replicate")
        out: Tensor = self.last(_walk(self, values, 3)).transpose(1, 2)[..., :height, :width]
        return out + fine[:, :, None] if self.residual else out


def _refined(unet: PlanarUNet | SpaceTimeUNet, frames: Tensor) -> Tensor:
    """(B, T, H, W), guided (B, 2 T - 1, H, W), to (B, 2 T - 1, 2 H, 2 W)."""
    return bilinear(frames) if unet.guided else trilinear(frames)


def _walk(unet: PlanarUNet | SpaceTimeUNet, values: Tensor, dimensions: int) -> Tensor:
    """Down and up again, what was there at each level joined on the way back."""
    kept = []
    for level, stage in enumerate(unet.down):
        if level:
            values = F.max_pool2d(values, 2) if dimensions == 2 else F.max_pool3d(values, (1, 2, 2))
        values = stage(values)
        kept.append(values)
    for up, join, beside in zip(unet.up, unet.join, kept[-2::-1], strict=True):
        values = join(torch.cat((up(values), beside), 1))
    return values


def _twice(kind: type[nn.Conv2d] | type[nn.Conv3d], inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions of three cells a side, each with a ReLU."""
    return nn.Sequential(kind(inputs, outputs, 3, padding=1), nn.ReLU(), kind(outputs, outputs, 3, padding=1),
                         nn.ReLU())
