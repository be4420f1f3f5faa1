"""PostCast: counts, gradients against differences, guidance with a denoiser that knows the truth, and the whole
deblurrer with a network that was never trained."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F

from engine.cancel import CancelToken
from engine.deblurrers.chain import sharpened
from engine.deblurrers.diffusion import Schedule
from engine.deblurrers.guidance import Denoiser, Found, Guided, Settings, Transformed
from engine.deblurrers.postcast import PostCast, PostCastSmall, matched, tiled
from engine.deblurrers.protocol import Context, Observation, Options
from engine.errors import Cancelled
from engine.forecasters.protocol import LeadFrame
from engine.networks.configuration import Configuration, build, parameter_count
from engine.networks.diffusion_unet import DiffusionUNet, sinusoid
from engine.networks.weights import Header, save
from engine.networks.zoo import ZOO
from engine.radar.units import ZR
from tests.engine.deblurrers.test_yardsticks import storm
from tests.engine.sequences import START, grid

FULL = Schedule.linear()
TINY = Configuration("diffusion-unet", inputs=1, leads=1, options={
    "base": 8, "multipliers": (1, 2), "blocks": 1, "attention": (1,), "head": 8, "groups": 4})


# -- the network

@pytest.mark.parametrize(("channels", "count"), [
    ((3, 6), 552_814_086), ((3, 3), 552_807_171), ((1, 1), 552_797_953), ((1, 2), 552_800_258)])
def test_the_published_network_to_the_unit(channels: tuple[int, int], count: int) -> None:
    with torch.device("meta"):
        assert parameter_count(DiffusionUNet(*channels)) == count


def test_a_network_that_tells_a_variance_gives_the_noise_alone() -> None:
    torch.manual_seed(0)
    network = DiffusionUNet(3, 6, 8, (1, 2), 1, (1,), 8, 4)
    assert network(torch.randn(2, 3, 8, 12), torch.tensor([0, 999])).shape == (2, 3, 8, 12)


def test_a_fresh_network_says_nothing_and_every_weight_learns() -> None:
    torch.manual_seed(0)
    network = build(TINY)
    field, step = torch.randn(2, 1, 8, 12), torch.tensor([0, 500])
    assert not network(field, step).any()
    for parameter in network.parameters():  # those that begin at zero hide what is before them
        torch.nn.init.normal_(parameter, std=0.2)
    network(field, step).square().sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in silent if not name.endswith("triple.bias")] == []


def test_samples_of_a_batch_do_not_meet_and_the_step_matters() -> None:
    torch.manual_seed(0)
    network = build(TINY)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    field, step = torch.randn(2, 1, 8, 8), torch.tensor([10, 500])
    together, alone = network(field, step), network(field[:1], step[:1])
    torch.testing.assert_close(together[:1], alone)
    assert not torch.allclose(network(field[:1], torch.tensor([11])), alone)


def test_folded_cells_and_the_velocity_of_a_fresh_network() -> None:
    """A fresh network gives nothing inside: as velocity that says the field, shrunk, is the clean one, whose noise
    follows; a shift by two cells shifts the result."""
    torch.manual_seed(0)
    network = DiffusionUNet(1, 1, 8, (1, 2), 1, (), 8, 4, fold=2, velocity=True)
    assert network.grid_multiple == 4
    noisy, step = torch.randn(2, 1, 8, 12), torch.tensor([0, 700])
    share = torch.from_numpy(FULL.signal)[step][:, None, None, None].float()
    torch.testing.assert_close(network(noisy, step), (1 - share).sqrt() * noisy)
    told = FULL.clean(noisy[1:], 700, network(noisy, step)[1:])
    torch.testing.assert_close(told, share[1:].sqrt() * noisy[1:], atol=1e-4, rtol=1e-4)


def test_the_velocity_tells_the_clean_field_however_little_of_it_is_left() -> None:
    class Knows(DiffusionUNet):
        def forward(self, noisy: Tensor, step: Tensor) -> Tensor:
            share = torch.from_numpy(FULL.signal)[step][:, None, None, None].float()
            noise = (noisy - share.sqrt() * truth) / (1 - share).sqrt()
            return self.noise_of(share.sqrt() * noise - (1 - share).sqrt() * truth, noisy, step)

    truth = torch.rand(1, 1, 8, 8) * 2 - 1
    network = Knows(1, 1, 8, (1, 2), 1, (), 8, 4, velocity=True)
    for step in (0, 500, 999):
        noise = torch.randn(1, 1, 8, 8)
        noisy = FULL.noised(truth, step, noise)
        torch.testing.assert_close(network(noisy, torch.tensor([step])), noise, atol=1e-3, rtol=1e-3)


def test_the_time_embedding_by_hand() -> None:
    found = sinusoid(torch.tensor([3]), 4)[0]
    expected = [math.cos(3), math.cos(0.03), math.sin(3), math.sin(0.03)]
    torch.testing.assert_close(found, torch.tensor(expected))


# -- the guidance

@cache
def scene(side: int, width: float) -> tuple[Tensor, Tensor, Tensor]:
    """A storm in [0, 1] with soft edges, the same through a Gaussian kernel of 9 x 9, and that kernel."""
    field = gaussian_filter(storm(1, (side, side)), 1.5)
    truth = torch.from_numpy(np.clip(field / field.max(), 0, 1).astype(np.float32))[None, None]
    at = torch.arange(9) - 4.0
    kernel = torch.exp(-(at[:, None] ** 2 + at[None, :] ** 2) / (2 * width**2))
    kernel /= kernel.sum()
    return truth, F.conv2d(truth, kernel[None, None], padding=4), kernel


def oracle(truth: Tensor) -> Denoiser:
    """Tells the noise as one who knows the field."""
    return lambda noisy, step: FULL.noise(noisy, step, 2 * truth - 1)


def guided(denoiser: Denoiser, blurry: Tensor, settings: Settings, seed: int = 0) -> Guided:
    draws = [torch.Generator().manual_seed(seed + k) for k in range(len(blurry))]
    return Guided(denoiser, blurry, torch.ones_like(blurry[:, :1]), settings, draws)


def last(run: Guided) -> Found:
    *_, found = run.run()
    return found


def relative(found: Tensor, truth: Tensor) -> float:
    return float((found - truth).norm() / truth.norm())


@pytest.mark.parametrize("width", [1.5, 2.5])
def test_field_and_kernel_are_recovered_by_one_who_knows(width: float) -> None:
    truth, blurry, kernel = scene(64, width)
    run = guided(oracle(truth), blurry, Settings(steps=100, kernel_rate=2e-2))
    found = last(run)
    field = (found.field + 1) / 2
    assert relative(field, truth) < 0.01
    assert relative(blurry, truth) > 0.1
    assert relative(run.blurred(field, found.kernel), blurry) < 0.05
    assert relative(found.kernel[0] / 81, kernel) < relative(torch.full((9, 9), 1 / 81), kernel)


@pytest.mark.parametrize("width", [1.0, 1.5, 2.5])
def test_the_steps_that_ship_are_enough_for_the_kernel(width: float) -> None:
    truth, blurry, _ = scene(96, width)
    run = guided(oracle(truth), blurry, PostCastSmall(Path("none")).sampling())
    found = last(run)
    assert relative(run.blurred((found.field + 1) / 2, found.kernel), blurry) < 0.05


def test_the_papers_kernel_rate_finds_the_strength_of_a_blur_and_not_its_shape() -> None:
    """Why the small configuration does not use it."""
    truth, blurry, _ = scene(64, 1.5)
    run = guided(oracle(truth), blurry, Settings(steps=100))
    found = last(run)
    assert float(found.kernel.mean()) == pytest.approx(1.0, abs=0.1)  # from 0.6; the blur keeps the total
    assert float(found.kernel.std()) < 0.15
    assert relative(run.blurred(truth, found.kernel), blurry) > 0.1


class Prior:
    """The exact denoiser of Gaussian fields of a known spectrum: the mean of all clean fields given the noisy one."""

    def __init__(self, side: int) -> None:
        k = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.fftfreq(side)[None, :])
        power = 1 / (k**2 + 0.02**2) ** 1.8
        self.power = power / power.mean() * 0.3**2

    def draw(self, generator: torch.Generator) -> Tensor:
        white = torch.randn(self.power.shape, generator=generator)
        return (torch.fft.ifft2(torch.fft.fft2(white) * self.power.sqrt()).real)[None, None].clamp(-1, 1)

    def __call__(self, noisy: Tensor, step: int) -> Tensor:
        share = float(FULL.signal[step])
        gain = share**0.5 * self.power / (share * self.power + 1 - share)
        clean = torch.fft.ifft2(torch.fft.fft2(noisy) * gain).real
        return FULL.noise(noisy, step, clean)


def test_a_denoiser_that_knows_only_the_kind_of_field_is_led_to_the_right_one() -> None:
    """Guidance turns any draw of the prior into one whose blur is the given field."""
    prior = Prior(64)
    truth = (prior.draw(torch.Generator().manual_seed(5)) + 1) / 2
    blurry = F.conv2d(truth, torch.ones(1, 1, 9, 9) * 0.6 / 81, padding=4)
    settings = Settings(steps=100, kernel="fixed", kernel_deviation=0.0)
    run = guided(prior, blurry, settings)
    led = (last(run).field + 1) / 2
    unled = Settings(steps=20, kernel="fixed", scale="fixed", start_scale=0)
    free = (last(guided(prior, blurry, unled)).field + 1) / 2
    assert relative(run.blurred(led, torch.full((1, 9, 9), 0.6)), blurry) < 0.05
    assert relative(run.blurred(free, torch.full((1, 9, 9), 0.6)), blurry) > 0.2
    assert relative(led, truth) < 0.5 * relative(free, truth)
    assert relative(led, truth) < relative(blurry, truth)


def test_guidance_scales_of_the_synthetic_check() -> None:
    """Smooth field, estimate at the truth, kernel at its initial mean: 4e4 after the first step, then a slow fall."""
    truth, blurry, _ = scene(256, 2.0)
    settings = Settings(10, kernel="fixed", kernel_deviation=0.0)  # the scale looks at one step and the one before
    scales = {}
    for found in guided(oracle(truth), blurry, settings).run():
        scales[found.step + 1] = float(found.scale)
        if found.step < 450:
            break
    for step, expected in {1000: 4e4, 889: 4800, 667: 4100, 556: 3900, 445: 3700}.items():
        assert expected / 2 < scales[step] < expected * 2, (step, scales[step])


def test_the_first_scales_on_a_few_steps() -> None:
    truth, blurry, _ = scene(256, 2.0)
    steps = guided(oracle(truth), blurry, Settings(kernel_deviation=0.0)).run()
    first, second = (float(next(steps).scale) for _ in range(2))
    assert 2e4 < first < 8e4
    assert 2400 < second < 9600


def test_gradients_are_those_of_differences() -> None:
    draw = torch.Generator().manual_seed(3)
    clean = (torch.rand((1, 1, 6, 7), generator=draw, dtype=torch.float64) * 2 - 1)
    kernel = torch.rand((1, 3, 3), generator=draw, dtype=torch.float64)
    target = torch.rand((1, 1, 6, 7), generator=draw, dtype=torch.float64)
    run = guided(oracle(clean), target, Settings(kernel_side=3))
    found = run.gradients(clean, kernel, target)

    def distance(field: Tensor, blur: Tensor) -> Tensor:
        return ((F.conv2d((field + 1) / 2, blur[:, None] / 9, padding=1) - target) ** 2).mean()

    assert float(found.distance) == pytest.approx(float(distance(clean, kernel)))
    for place in ((0, 0, 0, 0), (0, 0, 3, 4)):
        nudge = torch.zeros_like(clean)
        nudge[place] = 1e-5
        slope = (distance(clean + nudge, kernel) - distance(clean - nudge, kernel)) / 2e-5
        assert float(found.field[place]) == pytest.approx(float(slope), rel=1e-4)
    nudge = torch.zeros_like(kernel)
    nudge[0, 1, 2] = 1e-5
    slope = (distance(clean, kernel + nudge) - distance(clean, kernel - nudge)) / 2e-5
    assert float(found.kernel[0, 1, 2]) == pytest.approx(42 * float(slope), rel=1e-4)  # of the sum, not the mean


def test_the_transformed_convolution_is_the_convolution_and_has_its_gradient() -> None:
    draw = torch.Generator().manual_seed(6)
    clean = torch.rand((2, 3, 12, 9), generator=draw, dtype=torch.float64) * 2 - 1
    kernel, target = (torch.rand(shape, generator=draw, dtype=torch.float64) for shape in ((2, 5, 5), clean.shape))
    known = (torch.rand((2, 1, 12, 9), generator=draw) > 0.3).double()
    run = Guided(oracle(clean), target, known, Settings(kernel_side=5), [draw, draw])
    blur = Transformed(run.weights(kernel), clean)
    torch.testing.assert_close(blur(clean), run.blurred((clean + 1) / 2, kernel))
    found = blur.back((blur(clean) - target) * known**2) / run.elements
    torch.testing.assert_close(found, run.gradients(clean, kernel, target).field)


@pytest.mark.parametrize("normalisation", ["mean", "none", "sum"])
def test_the_quadratic_form_in_the_kernel_has_the_gradient_of_the_convolution(normalisation: str) -> None:
    draw = torch.Generator().manual_seed(4)
    clean = torch.rand((2, 3, 12, 9), generator=draw, dtype=torch.float64) * 2 - 1
    kernel, target = (torch.rand(shape, generator=draw, dtype=torch.float64) for shape in ((2, 5, 5), clean.shape))
    known = (torch.rand((2, 1, 12, 9), generator=draw) > 0.3).double()
    settings = Settings(kernel_side=5, normalisation=normalisation)  # type: ignore[arg-type]
    run = Guided(oracle(clean), target, known, settings, [draw, draw])
    found = run.quadratic(clean, target).gradient(kernel, run.gain)
    torch.testing.assert_close(found, run.gradients(clean, kernel, target).kernel)


def test_ablations_keep_what_they_fix() -> None:
    truth, blurry, _ = scene(64, 1.5)
    for scale, kernel in (("fixed", "fixed"), ("fixed", "updated"), ("auto", "updated")):
        steps = list(guided(oracle(truth), blurry, Settings(10, scale=scale, kernel=kernel)).run())  # type: ignore[arg-type]
        assert len(steps) == 10
        assert bool((steps[0].kernel == steps[-1].kernel).all()) == (kernel == "fixed")
        assert bool((steps[0].scale == steps[-1].scale).all()) == (scale == "fixed")
        assert float(steps[0].scale) == pytest.approx(3500 * 64**2 / 256**2) or scale == "auto"


def test_kernels_are_normalised_as_wished() -> None:
    truth, blurry, _ = scene(64, 1.5)
    for normalisation, gain in (("mean", 0.6), ("none", 48.6), ("sum", 1.0)):
        run = guided(oracle(truth), blurry, Settings(10, normalisation=normalisation))  # type: ignore[arg-type]
        found = run.blurred(torch.ones(1, 1, 32, 32), torch.full((1, 9, 9), 0.6))
        assert float(found[0, 0, 16, 16]) == pytest.approx(gain)
        assert torch.isfinite(last(run).field).all()


def test_a_batch_is_as_its_samples_alone() -> None:
    truth, blurry, _ = scene(64, 1.5)
    settings = Settings(5, kernel_rate=2e-2)
    both = last(guided(lambda x, t: FULL.noise(x, t, 2 * truth - 1), torch.cat((blurry, 0.5 * blurry)), settings))
    second = last(guided(oracle(truth), 0.5 * blurry, settings, seed=1))
    torch.testing.assert_close(both.field[1:], second.field, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(both.kernel[1:], second.kernel, atol=1e-5, rtol=1e-4)


# -- the deblurrer

@pytest.fixture
def weight_file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    file = tmp_path / "postcast.safetensors"
    save(file, build(TINY), Header("postcast", TINY, 5.0, 1.0))
    return file


def frames(*fields: np.ndarray) -> list[LeadFrame]:
    return [LeadFrame(5.0 * k, field) for k, field in enumerate(fields, start=1)]


def run(deblurrer: PostCast, fields: list[LeadFrame], options: Options | None = None,
        token: CancelToken | None = None) -> list[LeadFrame]:
    ny, nx = fields[0].rain_rate.shape
    seen = Observation(np.zeros((ny, nx), np.float32), START, 5.0, grid(ny, nx), ZR())
    context = Context(token or CancelToken())
    return list(sharpened(iter(fields), deblurrer, seen, options or Options(), context))


def test_the_rules_hold_for_a_network_that_knows_nothing(weight_file: Path) -> None:
    field = storm(2, (37, 50))
    field[:, :7] = np.nan
    dry = np.zeros_like(field)
    deblurrer = PostCast(weight_file, Settings(steps=4))
    first, still = run(deblurrer, frames(field, dry))
    np.testing.assert_array_equal(np.isnan(first.rain_rate), np.isnan(field))
    assert np.nanmin(first.rain_rate) >= 0
    assert abs(np.nansum(first.rain_rate) / np.nansum(field) - 1) < 0.1
    np.testing.assert_array_equal(still.rain_rate, dry)
    again, _ = run(deblurrer, frames(field, dry))
    np.testing.assert_array_equal(first.rain_rate, again.rain_rate)
    other, _ = run(deblurrer, frames(field, dry), Options(seed=1))
    assert not np.array_equal(first.rain_rate, other.rain_rate, equal_nan=True)


def test_as_it_ships_a_result_has_the_values_of_the_last_observation(weight_file: Path) -> None:
    """Without rain there it stays as it was drawn."""
    field, last = storm(2, (32, 48)), storm(7, (32, 48))
    drawn = field + np.random.default_rng(0).uniform(0.01, 0.02, field.shape).astype(np.float32)  # all differ
    seen, known = Observation(last, START, 5.0, grid(32, 48), ZR()), np.ones(field.shape, np.bool_)
    found = matched(drawn, known, seen)
    np.testing.assert_allclose(np.sort(found, axis=None), np.sort(last, axis=None), rtol=1e-5)
    np.testing.assert_array_equal(np.argsort(found[found > 0]), np.argsort(drawn[found > 0]))
    dry = Observation(np.full_like(last, np.nan), START, 5.0, grid(32, 48), ZR())
    assert matched(drawn, known, dry) is drawn
    results = []
    for one in (seen, dry):
        deblurrer = PostCastSmall(weight_file, Settings(steps=3))
        results += list(sharpened(iter(frames(field)), deblurrer, one, Options(), Context()))
    assert results[0].kernel is not None
    assert not np.array_equal(results[0].rain_rate, results[1].rain_rate)


def test_several_samples_are_an_ensemble(weight_file: Path) -> None:
    (found,) = run(PostCast(weight_file, Settings(steps=3)), frames(storm(2, (32, 32))), Options(members=3))
    assert found.rain_rate.shape == (3, 32, 32)
    assert not np.array_equal(found.rain_rate[0], found.rain_rate[2])


def test_a_sharpening_is_stopped_inside_a_step(weight_file: Path) -> None:
    token, asked = CancelToken(), 0
    deblurrer = PostCast(weight_file, Settings(steps=4))

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 40:
            token.cancel()
        CancelToken.check(token)

    token.check = check  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        run(deblurrer, frames(storm(2, (32, 32))), token=token)
    assert asked == 40


def test_tiles_leave_no_seam() -> None:
    class Plain(torch.nn.Module):
        grid_multiple = 2

        def forward(self, noisy: Tensor, step: Tensor) -> Tensor:
            return 2 * noisy + step[:, None, None, None]

    field = torch.randn(1, 1, 90, 70)
    torch.testing.assert_close(tiled(Plain(), lambda: None, side=32, overlap=8)(field, 3), 2 * field + 3)


def test_other_pixels_than_trained_are_told(weight_file: Path) -> None:
    coarse = Observation(np.zeros((8, 8), np.float32), START, 5.0, grid(8, 8, cell=2000.0), ZR())
    fine = Observation(np.zeros((8, 8), np.float32), START, 5.0, grid(8, 8), ZR())
    assert "trained on pixels of 1 km" in PostCastSmall(weight_file).notes(coarse)[0]
    assert PostCastSmall(weight_file).notes(fine) == ()


def test_final_options() -> None:
    paper, small = PostCast(Path("none")).sampling(), PostCastSmall(Path("none")).sampling()
    assert (paper.steps, paper.spread, paper.scale, paper.kernel, paper.normalisation, paper.start_scale,
            paper.kernel_side, paper.kernel_mean, paper.kernel_rate, paper.noised) == (
        0, 1.0, "auto", "updated", "mean", 3500.0, 9, 0.6, 2e-4, False)
    assert (paper.led, paper.field_updates, paper.kernel_updates) == ("mean", 1, 1)
    assert (small.steps, small.led, small.field_updates, small.kernel_updates) == (25, "clean", 8, 20)
    assert (small.kernel_mean, small.kernel_rate) == (1.0, 2e-2)
    assert ZOO["postcast-paper"].configuration.options == {"channels_in": 3, "channels_out": 6}
    assert (PostCast(Path("none")).at_once("cpu"), PostCast(Path("none")).at_once("cuda")) == (1, 0)
