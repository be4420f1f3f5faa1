"""PostCast's guided sampling (postcast paper, Algorithm 1): clean fields are drawn from a diffusion model so that a
blur kernel, which is looked for on the way, makes the blurry ones of them.

The printed algorithm contradicts itself in places. Taken here: all alphas carry a bar but that of the noisy field's
weight; the gradient is that for the estimate of the clean field, so that lines 5 and 6 together are "posterior mean
minus s times gradient"; the guidance scale of a step comes from the step before, its absolute value with the constant
C kept; the convolution is divided by the number of kernel cells, without which the printed starting values make fields
fifty times too strong.

Where steps are left out, guidance and kernel move for all that were; on other grids than 256 x 256 each cell is moved
as it would be there. Both are bounded where they would overshoot, which at the paper's settings never happens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.deblurrers.diffusion import Schedule

Denoiser = Callable[[Tensor, int], Tensor]
"""(B, C, H, W) noisy and the number of a step in the full schedule -> the noise in it."""
_PAPERS_CELLS = 256 * 256


@dataclass(frozen=True)
class Settings:
    """steps: how many of the schedule's are done, 0 for all. spread: of the drawn noise; 1 as the paper, 0 draws
    nothing after the start (DDIM). scale, kernel: "fixed" for the paper's ablations (both: model A; scale alone:
    model C). normalisation: the convolution over the number of kernel cells, as it is, or over the kernel's sum.
    kernel_mean is the paper's, the deviation ours. noised: the blurry field is brought to the step's noise before it is
    compared. What follows is not in the paper either, and makes good for steps that are left out. led: "mean" as the
    paper, the mean of the step before is moved by one gradient; "clean", the estimate of the clean field is moved by
    ``field_updates`` of them, the mean follows from where it then is, and so does the kernel. kernel_updates: of the
    kernel in each step."""

    steps: int = 0
    spread: float = 1.0
    scale: Literal["auto", "fixed"] = "auto"
    kernel: Literal["updated", "fixed"] = "updated"
    normalisation: Literal["mean", "none", "sum"] = "mean"
    start_scale: float = 3500.0
    kernel_side: int = 9
    kernel_mean: float = 0.6
    kernel_deviation: float = 0.05
    kernel_rate: float = 2e-4
    led: Literal["mean", "clean"] = "mean"
    field_updates: int = 1
    kernel_updates: int = 1
    noised: bool = False


class Found(NamedTuple):
    """A step. field: (B, C, H, W), not clipped. kernel: (B, k, k). scale: (B,), for the next step. step: what the
    step just done is called in the full schedule."""

    field: Tensor
    kernel: Tensor
    scale: Tensor
    step: int


class Gradients(NamedTuple):
    """distance: (B,) mean squared. field: of it, for the clean field in [-1, 1]. kernel: of the sum of squares."""

    distance: Tensor
    field: Tensor
    kernel: Tensor


class Quadratic(NamedTuple):
    """w A w - 2 b w + c, w the kernel's cells over its gain. products: A, (B, k k, k k). targets: b, (B, k k)."""

    products: Tensor
    targets: Tensor

    def gradient(self, kernel: Tensor, gain: Callable[[Tensor], Tensor]) -> Tensor:
        """(B, k, k), for the kernel."""
        with torch.enable_grad():
            kernel = kernel.detach().requires_grad_()
            cells = (kernel / gain(kernel)[:, None, None]).flatten(1)
            square = (cells[:, None] @ self.products @ cells[:, :, None])[:, 0, 0] \
                - 2 * (cells * self.targets).sum(dim=1)
            (found,) = torch.autograd.grad(square.sum(), kernel)
        return found


class Transformed:
    """A convolution of fields in [-1, 1], taken as [0, 1], and its transpose, by Fourier transforms: where it is needed
    again and again, that takes a sixth of the time. weights: (B, k, k). like: (B, C, H, W)."""

    def __init__(self, weights: Tensor, like: Tensor) -> None:
        self.half, self.shape = weights.shape[-1] // 2, like.shape[-2:]
        self.size = [side + 2 * self.half for side in self.shape]
        self.response = torch.fft.rfft2(weights[:, None], self.size)

    def __call__(self, field: Tensor) -> Tensor:
        """The blurred field in [0, 1]; no rain beyond the edges."""
        there: Tensor = torch.fft.irfft2(torch.fft.rfft2((field + 1) / 2, self.size) * self.response.conj(), self.size)
        return there.roll((self.half, self.half), (-2, -1))[..., :self.shape[0], :self.shape[1]]

    def back(self, rest: Tensor) -> Tensor:
        """What a rest of the blurred field says about the field: half the gradient of its square for [0, 1], the
        whole for [-1, 1]."""
        there: Tensor = torch.fft.irfft2(torch.fft.rfft2(rest, self.size) * self.response, self.size)
        return there[..., self.half:self.half + self.shape[0], self.half:self.half + self.shape[1]]


class Guided:
    """blurry: (B, C, H, W) in [0, 1]. known: (B, 1, H, W), 0 where there is nothing to compare with. draws: one
    generator per sample, on the CPU, so that samples do not depend on what else is in the batch."""

    def __init__(self, denoiser: Denoiser, blurry: Tensor, known: Tensor, settings: Settings,
                 draws: Sequence[torch.Generator], full: Schedule | None = None) -> None:
        self.denoiser, self.blurry, self.known = denoiser, blurry, known.to(blurry.dtype)
        self.settings, self.draws = settings, draws
        self.full = full or Schedule.linear()
        self.schedule = self.full.respaced(settings.steps) if settings.steps else self.full
        self.elements = math.prod(blurry.shape[1:])
        self.cells = blurry.shape[-2] * blurry.shape[-1]

    def run(self) -> Iterator[Found]:
        """Yields after each step; the last one has the result. Between steps nothing is under way."""
        side = self.settings.kernel_side
        kernel = self.settings.kernel_mean + self.settings.kernel_deviation * self._normal((side, side))
        scale = torch.full_like(kernel[:, 0, 0], self.settings.start_scale * self.cells / _PAPERS_CELLS)
        field, logarithm = self._normal(tuple(self.blurry.shape[1:])), 1.0
        for step in reversed(range(len(self.schedule))):
            field, kernel, scale, logarithm = self._step(field, kernel, scale, logarithm, step)
            yield Found(field, kernel, scale, self.schedule.steps[step])

    def _step(self, noisy: Tensor, kernel: Tensor, scale: Tensor, before: float,
              step: int) -> tuple[Tensor, Tensor, Tensor, float]:
        with torch.no_grad():
            noise = self.denoiser(noisy, self.schedule.steps[step])
        clean = self.schedule.clean(noisy, step, noise).clamp(-1.0, 1.0)
        target = self._compared(step)
        if self.settings.led == "clean":
            clean, slope, gradient = *self._led(clean, kernel, target, scale), None
            mean = self.schedule.implicit_mean(clean, noisy, step, self.settings.spread)
        else:
            _, slope, gradient = self.gradients(clean, kernel, target)
            shift = -self.strength(scale, kernel)[:, None, None, None] * slope
            mean = self.schedule.implicit_mean(clean, noisy, step, self.settings.spread) + shift
        deviation = self.settings.spread * self.schedule.variance(step) ** 0.5
        field = mean + deviation * self._normal(tuple(mean.shape[1:])) if step else mean
        logarithm = self.log_variance(step)
        if self.settings.kernel == "updated":
            kernel = self._updated(kernel, clean, target, gradient, step)
        if self.settings.scale == "auto":
            guided = -scale[:, None, None, None] * slope
            scale = self.auto_scale(field, mean, noisy, guided, kernel, logarithm, before)
        return field, kernel, scale, logarithm

    def _led(self, clean: Tensor, kernel: Tensor, target: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """The clean field moved until its blur is nearer to the target, and the gradient for it there."""
        strength, blur = self.strength(scale, kernel)[:, None, None, None], Transformed(self.weights(kernel), clean)

        def slope(at: Tensor) -> Tensor:
            return blur.back((blur(at) - target) * self.known**2) / self.elements

        ahead = clean
        for number in range(self.settings.field_updates):  # Nesterov's momentum: few updates reach as far as many
            before, clean = clean, (ahead - strength * slope(ahead)).clamp(-1.0, 1.0)
            ahead = clean + number / (number + 3) * (clean - before)
        return clean, slope(clean)

    def _updated(self, kernel: Tensor, clean: Tensor, target: Tensor, gradient: Tensor | None, step: int) -> Tensor:
        """gradient: at ``kernel``, if it is there. Several updates of a step cost next to nothing: the distance is a
        quadratic form in the kernel's cells, which is made once."""
        if gradient is not None and self.settings.kernel_updates == 1:
            return kernel - self.kernel_rate(clean, kernel, step)[:, None, None] * gradient
        form = self.quadratic(clean, target)
        for _ in range(self.settings.kernel_updates):
            rate = self.kernel_rate(clean, kernel, step)[:, None, None]
            kernel = kernel - rate * form.gradient(kernel, self.gain)
        return kernel

    # -- the blur

    def blurred(self, field: Tensor, kernel: Tensor) -> Tensor:
        """field: (B, C, H, W); kernel: (B, k, k), the same for all channels; no rain beyond the edges."""
        batch, channels, high, wide = field.shape
        side = kernel.shape[-1]
        weight = self.weights(kernel).repeat_interleave(channels, dim=0)[:, None]
        flat = F.conv2d(field.reshape(1, -1, high, wide), weight, padding=side // 2, groups=batch * channels)
        return flat.view_as(field)

    def weights(self, kernel: Tensor) -> Tensor:
        """(B, k, k) as the convolution has them: a blur that keeps the total has a sum of 1."""
        return kernel / self.gain(kernel)[:, None, None]

    def gain(self, kernel: Tensor) -> Tensor:
        """(B,) by which the plain convolution is divided."""
        if self.settings.normalisation == "sum":
            return kernel.sum(dim=(1, 2))
        cells = kernel.shape[-1] ** 2 if self.settings.normalisation == "mean" else 1
        return torch.full_like(kernel[:, 0, 0], cells)

    def gradients(self, clean: Tensor, kernel: Tensor, target: Tensor) -> Gradients:
        """clean: in [-1, 1]. target: in [0, 1]. None goes back into the network."""
        with torch.enable_grad():
            clean, kernel = clean.detach().requires_grad_(), kernel.detach().requires_grad_()
            squares = (((self.blurred((clean + 1) / 2, kernel) - target) * self.known) ** 2).sum(dim=(1, 2, 3))
            for_clean, for_kernel = torch.autograd.grad(squares.sum(), (clean, kernel))
        return Gradients(squares.detach() / self.elements, for_clean / self.elements, for_kernel)

    def quadratic(self, clean: Tensor, target: Tensor) -> Quadratic:
        """The sum of squares as it depends on the kernel. clean: in [-1, 1]. target: in [0, 1]."""
        side, known = self.settings.kernel_side, self.known.flatten(1)
        products, targets = [], []
        for field, wanted, counted in zip((clean + 1) / 2, target, known, strict=True):  # one by one: 81 times as large
            shifted = F.unfold(field[:, None], side, padding=side // 2) * counted  # (C, k k, cells)
            products.append(torch.bmm(shifted, shifted.transpose(1, 2)).sum(dim=0))
            targets.append(torch.bmm(shifted, wanted.reshape(len(field), -1, 1)).sum(dim=0)[:, 0])
        return Quadratic(torch.stack(products), torch.stack(targets))

    def _compared(self, step: int) -> Tensor:
        if not self.settings.noised:
            return self.blurry
        noise = self._normal(tuple(self.blurry.shape[1:]))
        noisy: Tensor = self.schedule.noised(2 * self.blurry - 1, step, noise)
        return (noisy + 1) / 2

    # -- how far to go

    def stride(self) -> float:
        """Steps of the full schedule that one step stands for."""
        return len(self.full) / len(self.schedule)

    def strength(self, scale: Tensor, kernel: Tensor) -> Tensor:
        """(B,) the factor of the gradient: the scale, bounded where a step would overshoot."""
        norm = (kernel.abs().sum(dim=(1, 2)) / self.gain(kernel).abs()).clamp(min=1e-6)
        return torch.minimum(self.stride() * scale, 2 * self.elements / norm**2)

    def kernel_rate(self, clean: Tensor, kernel: Tensor, step: int) -> Tensor:
        """(B,) cosine from ``kernel_rate`` to 0 over the run, bounded where a step would overshoot."""
        done = 1 - (self.schedule.steps[step] + 1) / len(self.full)
        rate = self.settings.kernel_rate * 0.5 * (1 + math.cos(math.pi * done))
        rate *= self.stride() * _PAPERS_CELLS / self.cells
        power = (((clean + 1) / 2) ** 2).sum(dim=(1, 2, 3)).clamp(min=1e-6)
        return torch.clamp((self.gain(kernel) / self.settings.kernel_side) ** 2 / power, max=rate)

    @cached_property
    def _logarithms(self) -> list[float]:
        known = [math.log(self.full.variance(step)) for step in range(1, len(self.full))]
        return [known[0], *known]

    def log_variance(self, step: int) -> float:
        """Of the full schedule; that of the last step, which has none, is that of the step before it."""
        return self._logarithms[self.schedule.steps[step]]

    def auto_scale(self, field: Tensor, mean: Tensor, noisy: Tensor, guided: Tensor, kernel: Tensor,
                   logarithm: float, before: float) -> Tensor:
        """(B,) the guidance scale of the next step (equation 5 and appendix; the logarithm of the variance stands
        where a deviation would be expected, as the method's authors have it). field: just drawn about ``mean``.
        guided: -s times the gradient. logarithm, before: of this step and of the one before."""
        wanted = 2 * self.blurry - 1
        over = (1, 2, 3)

        def likelihood(about: Tensor, log_variance: float) -> Tensor:
            return -0.5 * ((wanted - about) / log_variance).square().sum(dim=over) \
                - 0.5 * math.log(2 * math.pi * self.elements * log_variance**2)

        distance = (self.blurred(field, kernel) - wanted).square().mean(dim=over)
        taylor = ((field - mean) * guided).sum(dim=over) + likelihood(mean, logarithm) + likelihood(noisy, before)
        return taylor.abs() / (2 * self.blurry.shape[1] ** 2 * distance).clamp(min=1e-9)

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        """(B, *shape), each sample from its own generator."""
        drawn = torch.stack([torch.randn(shape, generator=draw) for draw in self.draws])
        return drawn.to(self.blurry.device, self.blurry.dtype)
