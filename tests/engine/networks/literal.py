"""Recurrent cells written out from their papers' equations: one convolution per gate and input, nothing shared.

Each takes a cell of the program for its weights only. They are the truth for the tests of the cells and the plain
version that the speed benchmarks compare with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.cell import SumConv

Conv = Callable[[Tensor], Tensor]
s, th = torch.sigmoid, torch.tanh


def lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def one(conv: nn.Module, gate: int = 0, gates: int = 1, source: int = 0) -> Conv:
    """W * x + b of one gate from one input, with its own copy of the weights."""
    size = conv.weight.shape[0] // gates
    rows = slice(gate * size, (gate + 1) * size)
    if isinstance(conv, SumConv):
        first = sum(conv.channels[:source])
        weight = conv.weight[rows, first:first + conv.channels[source]].detach().clone()
        bias = None if conv.bias is None else conv.bias[source, rows].detach().clone()
        padding, dilation = conv.padding, 1
    else:
        weight = conv.weight[rows].detach().clone()
        bias = None if conv.bias is None else conv.bias[rows].detach().clone()
        padding, dilation = conv.padding, conv.dilation
    return lambda x: F.conv2d(x, weight, bias, padding=padding, dilation=dilation)


def several(conv: nn.Module, gates: int, source: int = 0) -> list[Conv]:
    return [one(conv, gate, gates, source) for gate in range(gates)]


def slow_warp(field: Tensor, shift: Tensor) -> Tensor:
    """Equation 5 of the benchmark paper pixel by pixel: sum over m, n of I(m, n) max(0, 1 - |i + V - m|)
    max(0, 1 - |j + U - n|)."""
    batch, _, height, width = field.shape
    out = torch.zeros_like(field)
    for b in range(batch):
        for i in range(height):
            for j in range(width):
                row, column = i + float(shift[b, 1, i, j]), j + float(shift[b, 0, i, j])
                for m in range(max(0, math.floor(row)), min(height, math.floor(row) + 2)):
                    for n in range(max(0, math.floor(column)), min(width, math.floor(column) + 2)):
                        weight = max(0.0, 1 - abs(row - m)) * max(0.0, 1 - abs(column - n))
                        out[b, :, i, j] += weight * field[b, :, m, n]
    return out


def sampled_warp(field: Tensor, shift: Tensor) -> Tensor:
    """The same by the library's sampler, for the benchmark."""
    height, width = field.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x = 2 * (columns + shift[:, 0]) / (width - 1) - 1
    y = 2 * (rows + shift[:, 1]) / (height - 1) - 1
    return F.grid_sample(field, torch.stack((x, y), -1), align_corners=True)


class ConvLSTM:
    def __init__(self, cell: Any) -> None:
        self.x, self.h = several(cell.gates, 4, 0), several(cell.gates, 4, 1)

    def __call__(self, x: Tensor, memory: Any, plain: Any, state: Any) -> tuple[Tensor, Any, Any]:
        hidden, c = state
        i, f, g, o = (wx(x) + wh(hidden) for wx, wh in zip(self.x, self.h, strict=True))
        c = s(f) * c + s(i) * th(g)
        h = s(o) * th(c)
        return h, memory, (h, c)


class ConvGRU:
    def __init__(self, cell: Any) -> None:
        self.x = several(cell.from_input, 3) if cell.from_input is not None else None
        self.h = several(cell.from_state, 3)

    def __call__(self, x: Any, memory: Any, plain: Any, state: Any) -> tuple[Tensor, Any, Any]:
        xr, xz, xh = (w(x) for w in self.x) if self.x else (0, 0, 0)
        r = s(xr + self.h[0](state))
        z = s(xz + self.h[1](state))
        new = lrelu(xh + r * self.h[2](state))
        h = (1 - z) * new + z * state
        return h, memory, h


class TrajGRU:
    def __init__(self, cell: Any, warp: Any = slow_warp) -> None:
        self.warp, self.links = warp, cell.links
        self.x = several(cell.from_input, 3) if cell.from_input is not None else None
        self.features = [one(cell.features, source=source) for source in range(len(cell.features.channels))]
        self.flows = one(cell.flows)
        size, weight = cell.hidden, cell.from_state.weight.detach()
        self.gates = [[weight[g * size:(g + 1) * size, k * size:(k + 1) * size].clone() for k in range(cell.links)]
                      for g in range(3)]
        self.bias = [cell.from_state.bias.detach()[g * size:(g + 1) * size].clone() for g in range(3)]

    def __call__(self, x: Any, memory: Any, plain: Any, state: Any) -> tuple[Tensor, Any, Any]:
        sources = [state] if x is None else [x, state]
        uv = self.flows(lrelu(sum(w(v) for w, v in zip(self.features, sources, strict=True))))
        warped = [self.warp(state, uv[:, 2 * k:2 * k + 2]) for k in range(self.links)]
        hr, hz, hh = (sum(F.conv2d(v, w) for v, w in zip(warped, weights, strict=True)) + bias[:, None, None]
                      for weights, bias in zip(self.gates, self.bias, strict=True))
        xr, xz, xh = (w(x) for w in self.x) if self.x else (0, 0, 0)
        z = s(xz + hz)
        h = (1 - z) * lrelu(xh + s(xr + hr) * hh) + z * state
        return h, memory, h


class STLSTM:
    def __init__(self, cell: Any) -> None:
        self.x, self.h = several(cell.temporal, 4, 0), several(cell.temporal, 4, 1)
        self.xm, self.m = several(cell.spatial, 3, 0), several(cell.spatial, 3, 1)
        self.co, self.mo = one(cell.output, source=0), one(cell.output, source=1)
        self.join = one(cell.join)

    def __call__(self, x: Tensor, memory: Tensor, plain: Any, state: Any) -> tuple[Tensor, Any, Any]:
        hidden, c = state
        i, f, g, o = (wx(x) + wh(hidden) for wx, wh in zip(self.x, self.h, strict=True))
        c = s(f) * c + s(i) * th(g)
        i, f, g = (wx(x) + wm(memory) for wx, wm in zip(self.xm, self.m, strict=True))
        m = s(f) * memory + s(i) * th(g)
        h = s(o + self.co(c) + self.mo(m)) * th(self.join(torch.cat([c, m], 1)))
        return h, m, (h, c)


class CausalLSTM:
    def __init__(self, cell: Any) -> None:
        self.highway = cell.highway is not None
        if self.highway:
            self.px, self.sx = several(cell.highway.gates, 2, 0)
            self.pz, self.sz = several(cell.highway.gates, 2, 1)
        self.w1, self.w2 = several(cell.temporal, 3), several(cell.spatial, 3)
        self.w3, self.w4, self.w5 = one(cell.old_memory), one(cell.output), one(cell.join)

    def __call__(self, x: Tensor, memory: Tensor, plain: Any, state: Any) -> tuple[Tensor, Any, Any]:
        hidden, c, z = state
        if self.highway:
            p, switch = th(self.px(x) + self.pz(z)), s(self.sx(x) + self.sz(z))
            x = z = switch * p + (1 - switch) * z
        i, f, g = (w(torch.cat([x, hidden, c], 1)) for w in self.w1)
        c = s(f) * c + s(i) * th(g)
        i, f, g = (w(torch.cat([x, c, memory], 1)) for w in self.w2)
        m = s(f) * th(self.w3(memory)) + s(i) * th(g)
        h = th(self.w4(torch.cat([x, c, m], 1))) * th(self.w5(torch.cat([c, m], 1)))
        return h, m, (h, c, z)


class MIM:
    def __init__(self, cell: Any) -> None:
        self.first = cell.first
        block = cell.block
        self.xm, self.m = several(block.spatial, 3, 0), several(block.spatial, 3, 1)
        self.co, self.mo, self.join = one(block.output, source=0), one(block.output, source=1), one(block.join)
        gates = 4 if self.first else 3
        self.x, self.h = several(block.temporal, gates, 0), several(block.temporal, gates, 1)
        if not self.first:
            self.d, self.n = several(cell.change.gates, 3, 0), several(cell.change.gates, 3, 1)
            self.od, self.on = one(cell.change.output, source=0), one(cell.change.output, source=1)
            self.sd, self.sc = several(cell.stay.gates, 4, 0), several(cell.stay.gates, 4, 1)
            self.so = one(cell.stay.output)

    def __call__(self, x: Tensor, memory: Tensor, plain: Any, state: Any) -> tuple[Tensor, Any, Any]:
        h, m, state, _ = self.with_gate(x, memory, plain, state)
        return h, m, state

    def with_gate(self, x: Tensor, memory: Tensor, plain: Any, state: Any) -> tuple[Tensor, Tensor, Any, Tensor]:
        hidden, c, n, st, before = state
        if self.first:
            i, f, g, o = (wx(x) + wh(hidden) for wx, wh in zip(self.x, self.h, strict=True))
            c = s(f) * c + s(i) * th(g)
        else:
            i, g, o = (wx(x) + wh(hidden) for wx, wh in zip(self.x, self.h, strict=True))
            change = x - before
            a, b, d = (wd(change) + wn(n) for wd, wn in zip(self.d, self.n, strict=True))
            n = s(b) * n + s(a) * th(d)
            moved = s(self.od(change) + self.on(n)) * th(n)
            a, b, d, e = (wd(moved) + wc(c) for wd, wc in zip(self.sd, self.sc, strict=True))
            st = s(b) * st + s(a) * th(d)
            c = s(e + self.so(st)) * th(st) + s(i) * th(g)
            before = x if plain is None else plain
        i, f, g = (wx(x) + wm(memory) for wx, wm in zip(self.xm, self.m, strict=True))
        m = s(f) * memory + s(i) * th(g)
        gate = s(o + self.co(c) + self.mo(m))
        h = gate * th(self.join(torch.cat([c, m], 1)))
        return h, m, (h, c, n, st, before), gate


class MotionRNN:
    def __init__(self, cell: Any) -> None:
        self.block, self.g, self.last = MIM(cell.block), cell.motion, cell.last

    def __call__(self, x: Tensor, memory: Tensor, plain: Any, state: Any) -> tuple[Tensor, Any, Any]:
        block, f, d = state
        h, m, block, gate = self.block.with_gate(x, memory, plain, block)
        if self.last:
            return h, m, (block, f, d)
        net = self.g
        e = F.conv2d(h, net.encode.weight, net.encode.bias, stride=2)
        u, r = s(one(net.update)(torch.cat([e, f], 1))), s(one(net.reset)(torch.cat([e, f], 1)))
        z = th(one(net.new)(torch.cat([e, r * f], 1)))
        d = d + 0.5 * (f - d)
        f = u * z + (1 - u) * f + d
        mask = s(one(net.mask)(e))
        y = torch.cat([mask[:, k:k + 1] * slow_warp(e, f[:, 2 * k:2 * k + 2]) for k in range(9)], 1)
        p = F.conv_transpose2d(one(net.merge)(y), net.decode.weight, net.decode.bias, stride=2, padding=1)
        g = s(one(net.gate)(torch.cat([p, h], 1)))
        h = g * h + (1 - g) * p + (1 - gate) * x
        return h, m, ((h, *block[1:]), f, d)


def slow_attention(attention: Any, x: Tensor) -> Tensor:
    """One pixel after the other; the window reaches from -w/2 to w/2 - 1, beyond the image logit 0 and value 0."""
    query, key, value = (F.conv2d(x, w.weight) for w in (attention.queries, attention.keys, attention.values))
    batch, channels, height, width = x.shape
    half, out = attention.window // 2, torch.zeros_like(x)
    reach = range(-half, attention.window - half)
    for b in range(batch):
        for i in range(height):
            for j in range(width):
                logits, values = [], []
                for m in (i + di for di in reach):
                    for n in (j + dj for dj in reach):
                        inside = 0 <= m < height and 0 <= n < width
                        logits.append(query[b, :, i, j] @ key[b, :, m, n] if inside else x.new_zeros(()))
                        values.append(value[b, :, m, n] if inside else x.new_zeros(channels))
                out[b, :, i, j] = torch.softmax(torch.stack(logits), 0) @ torch.stack(values)
    return out


class PrecipLSTM:
    def __init__(self, cell: Any) -> None:
        self.cell, self.attended = cell, one(cell.attended)
        self.x, self.h = several(cell.gates, 4, 0), several(cell.gates, 4, 1)
        self.memories = [(several(c, 3, 0), several(c, 3, 1)) for c in (cell.zigzag, cell.in_space, cell.in_time)]
        self.outs = [one(cell.output, source=k) for k in range(4)]
        self.join = one(cell.join)

    def __call__(self, x: Tensor, memory: Tensor, plain: Any, state: Any) -> tuple[Tensor, Any, Any]:
        hidden, c, ms, mt, before = state
        attended = x + self.attended(slow_attention(self.cell.attention, x))
        i, f, g, o = (wx(attended) + wh(hidden) for wx, wh in zip(self.x, self.h, strict=True))
        c = s(f) * c + s(i) * th(g)
        new = []
        for (from_x, from_m), seen, old in zip(self.memories, (attended, attended, x - before),
                                               (memory, ms, mt), strict=True):
            i, f, g = (wx(seen) + wm(old) for wx, wm in zip(from_x, from_m, strict=True))
            new.append(s(f) * old + s(i) * th(g))
        m, ms, mt = new
        gate = s(o + sum(w(v) for w, v in zip(self.outs, (c, ms, mt, m), strict=True)))
        h = gate * th(self.join(torch.cat([c, ms, mt, m], 1)))
        return h, m, (h, c, ms, mt, x)


class MSLSTM:
    def __init__(self, cell: Any) -> None:
        self.gates = [(several(g, 4, 0), several(g, 4, 1)) for g in cell.gates]
        self.outs, self.join = [one(c) for c in cell.outputs], one(cell.join)

    def __call__(self, x: Tensor, memory: Any, plain: Any, state: Any) -> tuple[Tensor, Any, Any]:
        hidden, *cells = state
        new, parts = [], []
        for (wx, wh), out, c in zip(self.gates, self.outs, cells, strict=True):
            i, f, g, o = (a(x) + b(hidden) for a, b in zip(wx, wh, strict=True))
            new.append(s(f) * c + s(i) * th(g))
            parts.append(o + out(new[-1]))
        h = s(parts[0] + parts[1]) * th(self.join(torch.cat(new, 1)))
        return h, memory, (h, *new)


LITERAL: dict[str, Any] = {
    "convlstm": ConvLSTM, "convgru": ConvGRU, "trajgru": TrajGRU, "predrnn": STLSTM, "predrnn++": CausalLSTM,
    "mim": MIM, "motionrnn": MotionRNN, "preciplstm": PrecipLSTM, "ms-lstm": MSLSTM,
}
