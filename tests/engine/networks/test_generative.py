"""Networks that draw, against their equations written out by hand, and the parts that the specifications count."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.cascast import CasCast
from engine.networks.casformer import CasFormer, TransformerBlock, positions
from engine.networks.cells.concat_gru import ConcatGRU
from engine.networks.configuration import build, parameter_count
from engine.networks.dgmr import DGMR, DownBlock, LatentBlock, SpatialAttention, UpBlock
from engine.networks.dgmr_discriminators import ClipDiscriminators, SpatialDiscriminator, TemporalDiscriminator
from engine.networks.diffcast import ContextNet, Denoiser, DiffCast, ResidualBlock
from engine.networks.frame_autoencoder import FrameAutoencoder, divergence
from engine.networks.noise import Noise
from engine.networks.noise_schedule import Schedule
from engine.networks.strpm import STRPM, ResidualPredictiveCell, Seen
from engine.networks.strpm_discriminator import PerceptualDiscriminator
from engine.networks.zoo import ZOO


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def conv(x: Tensor, layer: nn.Module, kernel: int = 3) -> Tensor:
    return F.conv2d(x, layer.weight, layer.bias, padding=kernel // 2)


@pytest.mark.parametrize(("part", "count"), [
    ("dgmr.context", 4_210_440), ("dgmr.latent", 7_228_305), ("dgmr", 53_566_957 - 784_800),
    ("diffcast.mean", 11_063_105), ("diffcast.context", 6_676_544), ("diffcast.denoiser", 39_593_349),
    ("cascast.autoencoder", 83_649_253), ("cascast.former", 309_246_016), ("cascast.mean", 8_659_677)])
def test_counts_of_the_specifications_part_by_part(part: str, count: int) -> None:
    name, _, inner = part.partition(".")
    with torch.device("meta"):
        network = build(ZOO[name].configuration)
    assert parameter_count(network.get_submodule(inner)) == count


def test_counts_of_the_discriminators() -> None:
    """Without the 1 x 1 shortcuts that never run: twice 768 x 768 + 768."""
    idle = 768 * 768 + 768
    assert parameter_count(SpatialDiscriminator()) == 22_205_425 - idle
    assert parameter_count(TemporalDiscriminator()) == 22_499_185 - idle
    assert parameter_count(PerceptualDiscriminator(8, 2)) == (9 * 8 + 8 + 16) + (9 * 64 + 8 + 16) + 8 * 16 + 1


def test_strpm_by_hand() -> None:
    """hidden 24, 4 layers, 2 halvings, 3 steps, 3 x 3."""
    def c(inputs: int, outputs: int, kernel: int) -> int:
        return inputs * outputs * kernel**2 + outputs

    cell = 5 * (c(24, 24, 3) + 48) + (c(48, 24, 3) + 48) + 2 * (c(72, 24, 3) + 48) + c(48, 24, 1) + c(72, 24, 1)
    coder, decoder = c(1, 24, 1) + 2 * c(24, 24, 3), 2 * c(24, 24, 3) + c(24, 1, 1)
    assert ZOO["strpm-small"].parameters == 4 * cell + 3 * coder + 3 * decoder + c(2, 1, 1)


@pytest.mark.parametrize("activation", [torch.tanh, F.relu])
def test_a_concatenating_gru_literally(activation: object) -> None:
    torch.manual_seed(0)
    cell = ConcatGRU(3, 4, activation)  # type: ignore[arg-type]
    seen, hidden = torch.randn(2, 3, 5, 6), torch.randn(2, 4, 5, 6)
    both = torch.cat((seen, hidden), dim=1)
    reset, update = torch.sigmoid(conv(both, cell.reset)), torch.sigmoid(conv(both, cell.update))
    new = activation(conv(torch.cat((seen, reset * hidden), dim=1), cell.new))  # type: ignore[operator]
    torch.testing.assert_close(cell(seen, hidden), update * hidden + (1 - update) * new)


def effective(layer: nn.Module) -> tuple[Tensor, Tensor]:
    return layer.weight.detach(), layer.bias.detach()


@pytest.mark.parametrize(("inputs", "outputs", "relu", "shrink"), [(3, 5, True, True), (4, 4, False, False)])
def test_a_block_that_shrinks_literally(inputs: int, outputs: int, relu: bool, shrink: bool) -> None:
    torch.manual_seed(0)
    block, x = DownBlock(inputs, outputs, relu, shrink).eval(), torch.randn(2, inputs, 8, 6)
    first, second = effective(block.first), effective(block.second)
    fresh = F.conv2d(x.clamp(min=0) if relu else x, *first, padding=1).clamp(min=0)
    fresh = F.conv2d(fresh, *second, padding=1)
    straight = x if inputs == outputs else F.conv2d(x, *effective(block.shortcut))
    wanted = fresh + straight
    if shrink:
        wanted = sum(wanted[:, :, i::2, j::2] for i, j in itertools.product((0, 1), (0, 1))) / 4
    torch.testing.assert_close(block(x), wanted, atol=1e-5, rtol=1e-5)


def test_weights_are_bounded_by_their_largest_singular_value() -> None:
    torch.manual_seed(0)
    block = DownBlock(3, 5)
    for _ in range(50):
        block(torch.randn(1, 3, 4, 4))
    weight = block.eval().first.weight.detach().flatten(1)
    assert float(torch.linalg.matrix_norm(weight, 2)) == pytest.approx(1.0, rel=1e-3)


def test_a_block_that_grows_literally() -> None:
    torch.manual_seed(0)
    block, x = UpBlock(4, 3, True).eval(), torch.randn(2, 4, 3, 5)
    for norm in (block.first_norm, block.second_norm):
        nn.init.uniform_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)

    def normed(field: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        mean, var = (part[None, :, None, None] for part in (norm.running_mean, norm.running_var))
        return ((field - mean) / (var + norm.eps).sqrt()).clamp(min=0)

    def twice(field: Tensor) -> Tensor:
        return field.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    fresh = F.conv2d(twice(normed(x, block.first_norm)), *effective(block.first), padding=1)
    fresh = F.conv2d(normed(fresh, block.second_norm), *effective(block.second), padding=1)
    wanted = fresh + F.conv2d(twice(x), *effective(block.shortcut))
    torch.testing.assert_close(block(x), wanted, atol=1e-5, rtol=1e-5)


def test_attention_of_the_latent_stack_by_loops() -> None:
    torch.manual_seed(0)
    layer, x = SpatialAttention(8, 4), torch.randn(1, 8, 2, 3)
    assert torch.equal(layer(x), x)
    nn.init.constant_(layer.gain, 0.7)
    query, key, value = (part(x)[0].flatten(1) for part in (layer.query, layer.key, layer.value))
    mixed = torch.zeros(2, 6)
    for here in range(6):
        odds = [math.exp(float(query[:, here] @ key[:, there])) for there in range(6)]
        for there in range(6):
            mixed[:, here] += odds[there] / sum(odds) * value[:, there]
    wanted = x + 0.7 * layer.leave(mixed.view(1, 2, 2, 3))
    torch.testing.assert_close(layer(x), wanted)


def test_a_latent_block_keeps_what_comes_in_and_adds_channels() -> None:
    torch.manual_seed(0)
    block, x = LatentBlock(3, 5), torch.randn(1, 3, 4, 4)
    fresh = conv(conv(x.clamp(min=0), block.first).clamp(min=0), block.second)
    torch.testing.assert_close(block(x)[:, :3], fresh[:, :3] + x)
    torch.testing.assert_close(block(x)[:, 3:], fresh[:, 3:] + conv(x, block.more, 1))


def test_dgmr_step_by_step() -> None:
    torch.manual_seed(0)
    network = DGMR(2, 3, 64, 16, 2).eval()
    frames = torch.rand(2, 2, 1, 32, 64)
    made = network(frames, 3, Noise(4))
    states = network.context(frames)[::-1]
    assert [tuple(s.shape[1:]) for s in states] == [(16, 1, 2), (8, 2, 4), (4, 4, 8), (2, 8, 16)]
    drawn = network.latent(torch.randn(2, 2, 1, 2, generator=torch.Generator().manual_seed(4)))
    for lead in range(3):
        x = drawn
        for level in range(4):
            states[level] = network.cells[level](x, states[level])
            x = network.grows[level](network.fits[level](states[level]))
        x = F.pixel_shuffle(network.leave(F.relu(network.norm(x))), 2)
        torch.testing.assert_close(made[:, lead], x)
    assert not torch.allclose(network(frames, 3, Noise(5)), made)
    assert torch.equal(network(frames, 2, Noise(4)), made[:, :2])


def test_discriminators_take_frames_and_clips_apart() -> None:
    """The spatial one sees no observed frame; the temporal one sees them and the order."""
    torch.manual_seed(0)
    judges, clip = ClipDiscriminators(2, 4, 2, 3).eval(), torch.rand(2, 8, 1, 32, 32)
    other = clip.clone()
    other[:, 0] += 1.0

    def scores(given: Tensor) -> Tensor:
        torch.manual_seed(1)
        return judges(given)

    first, changed, turned = scores(clip), scores(other), scores(clip.flip(1))
    assert first.shape == (2, 2)
    torch.testing.assert_close(first[:, 0], changed[:, 0])
    assert not torch.allclose(first[:, 1], changed[:, 1])
    assert not torch.allclose(first[:, 1], turned[:, 1])


def test_a_residual_block_told_of_the_step_literally() -> None:
    torch.manual_seed(0)
    block, x, told = ResidualBlock(8, 16, 6), torch.randn(2, 8, 4, 5), torch.randn(2, 6)
    change = F.linear(told * torch.sigmoid(told), block.told.weight, block.told.bias)

    def normed(field: Tensor) -> Tensor:
        parts = field.view(2, 8, -1)
        parts = (parts - parts.mean(dim=2, keepdim=True)) / (parts.var(dim=2, correction=0, keepdim=True) + 1e-5).sqrt()
        return parts.view(field.shape)

    fresh = normed(conv(x, block.first)) * (1 + change[:, :16, None, None]) + change[:, 16:, None, None]
    fresh = normed(conv(fresh * torch.sigmoid(fresh), block.second))
    torch.testing.assert_close(block(x, told), fresh * torch.sigmoid(fresh) + conv(x, block.skip, 1), atol=1e-5,
                               rtol=1e-5)


def test_contexts_are_states_after_the_sixth_and_the_last_frame() -> None:
    torch.manual_seed(0)
    context, frames = ContextNet(8, (1, 2)), torch.rand(1, 8, 1, 8, 8)
    early, late = context(frames, 5)
    alone, _ = context(frames[:, :6], 5)
    assert [tuple(state.shape) for state in late] == [(1, 8, 8, 8), (1, 8, 4, 4)]
    for one, other, last in zip(early, alone, late, strict=True):
        torch.testing.assert_close(one, other)
        assert not torch.allclose(one, last)


class Perfect(Denoiser):
    """Knows the residual and tells the velocity that leads there."""

    wanted: Tensor
    schedule: Schedule

    def forward(self, noisy: Tensor, before: Tensor, step: Tensor, context: list[Tensor], segment: Tensor) -> Tensor:
        share = float(self.schedule.signal[int(step[0])])
        noise = (noisy - share**0.5 * self.wanted) / (1 - share) ** 0.5
        return share**0.5 * noise - (1 - share) ** 0.5 * self.wanted


def test_a_denoiser_that_knows_the_residual_draws_it() -> None:
    torch.manual_seed(0)
    network = DiffCast(2, 4, 8, (1, 2), 8, 16, 2, steps=100, sampling=10).eval()
    network.denoiser.__class__ = Perfect
    network.denoiser.schedule, network.denoiser.wanted = network.schedule, 0.1 * torch.randn(1, 2, 16, 16)
    frames = torch.rand(1, 2, 1, 16, 16)
    drawn, mean = network(frames, 4, Noise(0)), network.means(frames)
    wanted = mean + network.denoiser.wanted.repeat(1, 2, 1, 1)[:, :, None] / 2
    torch.testing.assert_close(drawn, wanted.clamp(0, 1), atol=1e-4, rtol=1e-4)


def test_a_lesson_is_the_noising_of_the_residual_literally() -> None:
    torch.manual_seed(0)
    network = DiffCast(2, 4, 8, (1, 2), 8, 16, 2, steps=50, sampling=5).eval()
    frames, truth = torch.rand(2, 2, 1, 16, 16), torch.rand(2, 4, 1, 16, 16)
    firsts = set()
    for seed in range(6):
        lesson = network.lesson(frames, truth, Noise(seed))
        draw = torch.Generator().manual_seed(seed)
        number = int(torch.randint(2, (1,), generator=draw))
        steps = torch.randint(50, (2,), generator=draw)
        noise = torch.randn(2, 2, 16, 16, generator=draw)
        residual = 2 * (truth - network.means(frames))[:, 2 * number:2 * number + 2, 0]
        for sample in range(2):
            share = float(network.schedule.signal[int(steps[sample])])
            wanted = share**0.5 * noise[sample] - (1 - share) ** 0.5 * residual[sample]
            torch.testing.assert_close(lesson.wanted[sample, :, 0], wanted, atol=1e-5, rtol=1e-5)
        firsts.add(lesson.first)
    assert firsts == {0, 2}


def test_the_logistic_schedule_and_velocities() -> None:
    schedule = Schedule.sigmoid(1000)
    assert schedule.signal[-1] < 1e-3
    assert schedule.signal[499] == pytest.approx(0.5, abs=1e-6)

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    wanted = (sigmoid(3) - sigmoid(-3 + 6 * 0.2)) / (sigmoid(3) - sigmoid(-3))
    assert schedule.signal[199] == pytest.approx(wanted, rel=1e-9)
    clean, noise = torch.randn(3, 4), torch.randn(3, 4)
    noisy, velocity = schedule.noised(clean, 300, noise), schedule.velocity(clean, 300, noise)
    torch.testing.assert_close(schedule.clean_of_velocity(noisy, 300, velocity), clean, atol=1e-5, rtol=1e-5)


def test_a_transformer_block_by_loops() -> None:
    torch.manual_seed(0)
    block = TransformerBlock(8, 2)
    x, told = torch.randn(1, 5, 8), torch.randn(1, 8)
    assert torch.equal(block(x, told), x)
    nn.init.normal_(block.told.weight, std=0.3)
    nn.init.normal_(block.told.bias, std=0.3)
    shift, scale, gate, shift2, scale2, gate2 = block.told(F.silu(told))[0].chunk(6)

    def normed(row: Tensor) -> Tensor:
        return (row - row.mean()) / (row.var(correction=0) + 1e-6).sqrt()

    seen = [normed(row) * (1 + scale) + shift for row in x[0]]
    triples = [block.enter(row).view(3, 2, 4) for row in seen]
    rows = []
    for here in range(5):
        mixed = []
        for head in range(2):
            odds = torch.softmax(torch.stack([triples[here][0, head] @ triples[k][1, head] / 2 for k in range(5)]), 0)
            mixed.append(torch.stack([triples[k][2, head] * odds[k] for k in range(5)]).sum(dim=0))
        row = x[0, here] + gate * block.leave(torch.cat(mixed))
        rows.append(row + gate2 * block.feed(normed(row) * (1 + scale2) + shift2))
    torch.testing.assert_close(block(x, told)[0], torch.stack(rows), atol=1e-5, rtol=1e-5)


def test_positions_tell_column_then_row() -> None:
    table = positions(3, 4, 8)
    assert table.shape == (12, 8)
    for row, column in itertools.product(range(3), range(4)):
        rates = (1.0, 10_000 ** -0.5)
        wanted = [f(place * rate) for place in (column, row) for f in (math.sin, math.cos) for rate in rates]
        assert table[row * 4 + column].tolist() == pytest.approx(wanted, abs=1e-6)


def test_patches_go_back_to_their_place() -> None:
    """A last layer that tells frame, channel and place in the patch apart."""
    former = CasFormer(2, 3, 8, 2, 1, (12, 2, 1))
    former.leave.bias.copy_(torch.arange(24.0))
    out = former(torch.zeros(1, 2, 3, 4, 6), torch.zeros(1, 2, 3, 4, 6), torch.tensor([3]))
    for frame, channel, down, across in itertools.product(range(2), range(3), range(2), range(2)):
        assert bool((out[0, frame, channel, down::2, across::2] == (down * 2 + across) * 6 + frame * 3 + channel).all())


def test_the_autoencoder_s_grid_and_divergence() -> None:
    torch.manual_seed(0)
    coder = FrameAutoencoder((8, 8, 16), 1, 4, groups=4)
    mean, spread = coder.encode(torch.rand(2, 1, 16, 24))
    assert mean.shape == spread.shape == (2, 4, 4, 6)
    assert coder.decode(mean).shape == (2, 1, 16, 24)
    law = torch.distributions.Normal(mean, (spread / 2).exp())
    wanted = torch.distributions.kl_divergence(law, torch.distributions.Normal(0.0, 1.0)).flatten(1).sum(dim=1)
    torch.testing.assert_close(divergence(mean, spread), wanted)


def test_latents_become_standard_and_go_back() -> None:
    torch.manual_seed(0)
    network = CasCast(2, 2, "simvp", coder=(8, 16, 2), widths=(8, 16), blocks=1, groups=4, single=(8, 2, 1),
                      joint=(16, 2, 1), sampling=4)
    frames = torch.rand(4, 2, 1, 16, 16)
    for _ in range(800):
        network.settle(frames)
    latent = network.latents(frames)
    assert float(latent.mean(dim=(0, 1, 3, 4)).abs().max()) < 0.02
    torch.testing.assert_close(latent.transpose(1, 2).transpose(0, 1).flatten(1).std(dim=1), torch.ones(4), atol=0.02,
                               rtol=0.02)
    drawn = network.eval()(frames[:1], 2, Noise(0))
    assert drawn.shape == (1, 2, 1, 16, 16)
    assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1


def test_a_residual_predictive_cell_literally() -> None:
    torch.manual_seed(0)
    cell = ResidualPredictiveCell(4, 3, 2)
    moving, standing, output, hidden, *past = torch.randn(8, 1, 4, 5, 6).unbind()

    def told(layer: nn.Sequential, field: Tensor) -> Tensor:
        found = conv(field, layer[0])
        return (found - found.mean()) / (found.var(correction=0) + 1e-5).sqrt()

    state = told(cell.from_hidden, hidden)
    gate = told(cell.moving, moving) + state
    c = torch.sigmoid(gate) * torch.tanh(gate) + torch.sigmoid(gate + 1) * told(cell.cells, torch.cat(past[:2], dim=1))
    gate = told(cell.standing, standing) + told(cell.from_memory, past[3])
    m = torch.sigmoid(gate) * torch.tanh(gate) + torch.sigmoid(gate + 1) * told(cell.memories,
                                                                                torch.cat(past[2:], dim=1))
    both = torch.cat((c, m), dim=1)
    o = torch.sigmoid(told(cell.output, output) + state + told(cell.from_both, both))
    h = o * torch.tanh(conv(both, cell.join, 1))
    more = conv(torch.cat((moving, standing, o), dim=1), cell.residual, 1)
    found = cell(Seen(moving, standing, output, alike=False), hidden, past[:2], past[2:])
    for one, other in zip(found, (h + more, o, c, m), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    same = cell(Seen(moving, moving, moving), hidden, past[:2], past[2:])[0]
    assert same.shape == h.shape


def test_strpm_goes_on_as_long_as_is_wished() -> None:
    torch.manual_seed(0)
    network, frames = STRPM(4, 2, 1, 2, 3).eval(), torch.rand(2, 3, 1, 8, 12)
    short, long = network(frames, 2), network(frames, 5)
    assert long.shape == (2, 5, 1, 8, 12)
    torch.testing.assert_close(long[:, :2], short)


def test_tiles_see_their_part_of_the_same_random_numbers() -> None:
    like = torch.zeros(1)
    whole = Noise(3, (64, 96)).normal((1, 2, 16, 24), like, 4)
    piece = Noise(3, (64, 96), (32, 48)).normal((1, 2, 8, 12), like, 4)
    assert torch.equal(piece, whole[..., 8:, 12:])
    assert torch.equal(Noise(3).normal((2, 3), like), torch.randn(2, 3, generator=torch.Generator().manual_seed(3)))
    draw = torch.Generator().manual_seed(3)
    assert torch.equal(Noise(3).below(9, (4,), like), torch.randint(9, (4,), generator=draw))
