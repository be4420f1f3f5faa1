"""Zooming Slow-Mo and FC-ZSM: finer frames and those in between, in one network.

Xiang et al. 2020, "Zooming Slow-Mo: Fast and Accurate One-Stage Space-Time Video Super-Resolution"; Chen, Qin and Dai
2022, "FC-ZSM", section "The model" (equation 8). Where the second leaves things open docs/downscaling.md says how they
are read here.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.deformable import Deformable
from engine.networks.trilinear import bilinear, silenced, trilinear

SLOPE = 0.1
"""Of the leaky ReLU, everywhere."""
MULTIPLE = 4
"""Two halvings: grids are padded to multiples of this and cut again."""

Levels = tuple[Tensor, Tensor, Tensor]
"""Features at whole, half and quarter resolution, (B, C, H, W) each."""


def _bent(values: Tensor) -> Tensor:
    """In place: only for what nothing else reads."""
    return F.leaky_relu(values, SLOPE, inplace=True)


def _doubled(values: Tensor) -> Tensor:
    return F.interpolate(values, scale_factor=2.0, mode="bilinear", align_corners=False)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


class Residual(nn.Module):
    """Two convolutions without normalisation beside the identity; weights start at a tenth of He's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = _convolution(channels, channels), _convolution(channels, channels)
        for convolution in (self.first, self.second):
            nn.init.kaiming_normal_(convolution.weight)
            with torch.no_grad():
                convolution.weight.mul_(0.1)
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)

    def forward(self, values: Tensor) -> Tensor:
        out: Tensor = values + self.second(F.relu(self.first(values), inplace=True))
        return out


class Pyramid(nn.Module):
    """Half and quarter resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.halve = nn.ModuleList(_convolution(channels, channels, 2) for _ in range(2))
        self.smooth = nn.ModuleList(_convolution(channels, channels) for _ in range(2))

    def forward(self, whole: Tensor) -> Levels:
        half = _bent(self.smooth[0](_bent(self.halve[0](whole))))
        return whole, half, _bent(self.smooth[1](_bent(self.halve[1](half))))


class Direction(nn.Module):
    """Features of one moment aligned to those of another, from the coarsest level to the finest. guides: channels of
    the features of fixed fields that the first convolution of the offsets reads beside both (FC-ZSM, equation 8)."""

    def __init__(self, channels: int, groups: int, guides: int = 0) -> None:
        super().__init__()
        both = 2 * channels
        self.compare = nn.ModuleList(_convolution(both + guides, channels) for _ in range(3))
        self.join = nn.ModuleList(_convolution(both, channels) for _ in range(2))
        self.refine = nn.ModuleList(_convolution(channels, channels) for _ in range(3))
        self.deform = nn.ModuleList(Deformable(channels, groups) for _ in range(3))
        self.merge = nn.ModuleList(_convolution(both, channels) for _ in range(2))

    def forward(self, moved: Levels, fixed: Levels, guide: Levels | None = None, nought: bool = False) -> Tensor:
        """Returns (B, C, H, W) at whole resolution. nought: whether ``moved`` is nought everywhere there, so that it
        is the same wherever it is read."""
        offset, aligned = None, None
        for level in (2, 1) if nought else (2, 1, 0):
            seen = (moved[level], fixed[level], *((guide[level],) if guide is not None else ()))
            here = _bent(self.compare[level](torch.cat(seen, 1)))
            if offset is not None:
                here = _bent(self.join[level](torch.cat((here, _doubled(2.0 * offset)), 1)))
            offset = _bent(self.refine[level](here))
            found = self.deform[level](moved[level], offset)
            if aligned is not None:
                found = self.merge[level](torch.cat((found, _doubled(aligned)), 1))
            aligned = found if level == 0 else _bent(found)
        assert aligned is not None
        if nought:
            lowest = self.deform[0]
            assert isinstance(lowest, Deformable)
            aligned = self.merge[0](torch.cat((lowest.of_nought(moved[0]), _doubled(aligned)), 1))
        return aligned


class Alignment(nn.Module):
    """Both directions, each with weights of its own, and their mixture (equation 5)."""

    def __init__(self, channels: int, groups: int, guides: int = 0) -> None:
        super().__init__()
        self.there, self.back = (Direction(channels, groups, guides) for _ in range(2))
        self.mix = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, first: Levels, second: Levels, guide: Levels | None = None, nought: bool = False) -> Tensor:
        """nought: whether ``second`` is nought everywhere at whole resolution."""
        both = torch.cat((self.there(first, second, guide), self.back(second, first, guide, nought)), 1)
        mixed: Tensor = self.mix(both)
        return mixed


class StateAlignment(nn.Module):
    """A state of the recurrence brought to where the features of the moment are."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.pyramid, self.align = Pyramid(channels), Alignment(channels, groups)

    def forward(self, features: Tensor, state: Tensor | None) -> Tensor:
        """state: None for one that is nought, as at the beginning."""
        before = torch.zeros_like(features) if state is None else state
        aligned: Tensor = self.align(self.pyramid(features), self.pyramid(before), nought=state is None)
        return aligned


class DeformableConvLSTM(nn.Module):
    """A ConvLSTM whose hidden state and memory are aligned first (equation 7); the same weights run through the
    sequence forwards and backwards."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.hidden, self.memory = StateAlignment(channels, groups), StateAlignment(channels, groups)
        self.gates = _convolution(2 * channels, 4 * channels)
        self.join = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """(B, C, H, W) for each moment, in and out. Both directions run side by side, as one batch."""
        both = [torch.cat(pair) for pair in zip(features, features[::-1], strict=True)]
        forwards, backwards = zip(*(hidden.chunk(2) for hidden in self._run(both)), strict=True)
        return [self.join(torch.cat(pair, 1)) for pair in zip(forwards, backwards[::-1], strict=True)]

    def _run(self, features: list[Tensor]) -> list[Tensor]:
        hidden: Tensor | None = None
        memory: Tensor | None = None
        out = []
        for seen in features:
            hidden, memory = self.step(seen, self.hidden(seen, hidden), self.memory(seen, memory))
            out.append(hidden)
        return out

    def step(self, seen: Tensor, hidden: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The cell itself: gates in the order input, forget, output, candidate."""
        take, keep, show, new = self.gates(torch.cat((seen, hidden), 1)).chunk(4, 1)
        memory = keep.sigmoid() * memory + take.sigmoid() * new.tanh()
        return show.sigmoid() * memory.tanh(), memory


class ZoomingSlowMo(nn.Module):
    """dynamic: channels of each frame, the first being what is refined. static: channels of fixed fields, 0 for none.
    front, back: residual blocks before and after the recurrence (k1, k2). shuffles: doublings of the grid. residual: it
    gives what is to be added to the frames refined trilinearly, nothing at first; with one output and one doubling.
    fields: names of the fixed fields with + between them, for those who bring them; changing: of the channels after the
    first. guided: the frames in between are
    handed in as well, coarse, as motion carries them; their features are added to what the alignment finds."""

    def __init__(self, dynamic: int = 1, static: int = 0, outputs: int = 1, front: int = 5, back: int = 10,
                 shuffles: int = 1, channels: int = 64, groups: int = 8, residual: bool = False,
                 fields: str = "", guided: bool = False, changing: str = "") -> None:
        super().__init__()
        if residual and (shuffles, outputs) != (1, 1):
            raise ValueError("only one output on a grid of twice as many cells can be added to what is trilinear")
        if fields and len(fields.split("+")) != static:
            raise ValueError(f"{fields} are not {static} fixed fields")
        if changing and len(changing.split("+")) != dynamic - 1:
            raise ValueError(f"{changing} are not the {dynamic - 1} channels after the first")
        self.static, self.residual, self.guided = static, residual, guided
        self.first = _convolution(dynamic, channels)
        self.front = nn.Sequential(*(Residual(channels) for _ in range(front)))
        self.pyramid = Pyramid(channels)
        if static:
            self.ground_first = _convolution(static, channels)
            self.ground_front = nn.Sequential(*(Residual(channels) for _ in range(front)))
            self.ground_pyramid = Pyramid(channels)
        self.between = Alignment(channels, groups, channels if static else 0)
        self.recurrence = DeformableConvLSTM(channels, groups)
        self.back = nn.Sequential(*(Residual(channels) for _ in range(back)))
        self.enlarge = nn.ModuleList(_convolution(channels, 4 * channels) for _ in range(shuffles))
        self.fine, self.last = _convolution(channels, channels), _convolution(channels, outputs)
        if residual:
            silenced(self.last)

    def forward(self, frames: Tensor, ground: Tensor | None = None) -> Tensor:
        """frames: (B, T, dynamic, H, W) in [0, 1], guided (B, 2 T - 1, ...). ground: (B, static, H, W), the fixed
        fields on the same grid.
        Returns (B, 2 T - 1, outputs, 2^shuffles H, 2^shuffles W). Any H and W of at least two cells."""
        if (ground is None) == bool(self.static):
            raise ValueError(f"this network reads {self.static} fixed fields, {'none' if ground is None else 'some'} "
                             "were given")
        height, width = frames.shape[3:]
        seen = [self._features(_padded(frame)) for frame in frames.unbind(1)]
        guide = None if ground is None else self._ground(_padded(ground))
        features = self._in_order(seen, guide)
        fine = [self._reconstructed(hidden) for hidden in self.recurrence(features)]
        scale = 2 ** len(self.enlarge)
        out = torch.stack(fine, 1)[..., : scale * height, : scale * width]
        if not self.residual:
            return out
        return out + (bilinear if self.guided else trilinear)(frames[:, :, 0])[:, :, None]

    def _in_order(self, seen: list[Levels], guide: Levels | None) -> list[Tensor]:
        """(B, C, H, W) of every time that comes out, those in between made from the frames around them."""
        given = seen[::2] if self.guided else seen
        features = [given[0][0]]
        for number, (earlier, later) in enumerate(itertools.pairwise(given)):
            between = self.between(earlier, later, guide)
            features += [between + seen[2 * number + 1][0] if self.guided else between, later[0]]
        return features

    def _features(self, frame: Tensor) -> Levels:
        levels: Levels = self.pyramid(self.front(_bent(self.first(frame))))
        return levels

    def _ground(self, ground: Tensor) -> Levels:
        levels: Levels = self.ground_pyramid(self.ground_front(_bent(self.ground_first(ground))))
        return levels

    def _reconstructed(self, hidden: Tensor) -> Tensor:
        values = self.back(hidden)
        for convolution in self.enlarge:
            values = _bent(F.pixel_shuffle(convolution(values), 2))
        fine: Tensor = self.last(_bent(self.fine(values)))
        return fine


def _padded(field: Tensor) -> Tensor:
    """Repeats the lower and the right border up to a multiple of :data:`MULTIPLE`."""
    high, wide = (-size % MULTIPLE for size in field.shape[-2:])
    return F.pad(field, (0, wide, 0, high), mode="replicate") if high or wide else field
