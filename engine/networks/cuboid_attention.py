"""The parts of Earthformer (Gao et al. 2022): attention along one axis at a time, with a few global vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Cube = tuple[int, int, int]


class FeedForward(nn.Module):
    """x + W_2 gelu(W_1 norm(x)), four times as wide inside."""

    def __init__(self, width: int, drop: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.enter, self.leave = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(x + self.drop(self.leave(self.drop(F.gelu(self.enter(self.norm(x)))))))


class GlobalProjections(nn.Module):
    """Queries, keys and values between the field and the global vectors. separate: own weights for each direction
    (the released SEVIR network); otherwise the field's own are used and one projection of the vectors is added."""

    def __init__(self, width: int, separate: bool) -> None:
        super().__init__()
        self.separate = separate
        if not separate:
            self.vectors = nn.Linear(width, 3 * width, bias=False)
            return
        self.local_query = nn.Linear(width, width, bias=False)
        self.vector_key_value = nn.Linear(width, 2 * width, bias=False)
        self.vector_query = nn.Linear(width, width, bias=False)
        self.local_key = nn.Linear(width, width, bias=False)
        self.local_value = nn.Linear(width, width, bias=False)
        self.among = nn.Linear(width, 3 * width, bias=False)


class AxialAttention(nn.Module):
    """Attention along one axis of (B, T, H, W, C) with a learned bias by distance. Every place also looks at the
    global vectors, and these look at all places and at each other.

    axis: 1 for time, 2 rows, 3 columns. length: of that axis, which fixes the table of the bias.
    """

    def __init__(self, width: int, heads: int, axis: int, length: int, vectors: bool, separate: bool,
                 drop: float) -> None:
        super().__init__()
        self.heads, self.axis, self.length = heads, axis, length
        self.scale = (width // heads) ** -0.5
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.empty(2 * length - 1, heads).normal_(std=0.02))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.leave = nn.Linear(width, width)
        self.drop = nn.Dropout(drop)
        if vectors:
            self.vector_norm = nn.LayerNorm(width)
            self.across = GlobalProjections(width, separate)
            self.vector_leave = nn.Linear(width, width)

    def forward(self, x: Tensor, vectors: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What is to be added to x (B, T, H, W, C) and to the vectors (B, N, C)."""
        lines = self.norm(x).movedim(self.axis, 3)  # (B, ., ., L, C)
        query, key, value = self._split(self.qkv(lines), 3)
        score = self.scale * query @ key.transpose(-2, -1) + self._distance_bias(lines.shape[3])
        if vectors is None:
            return self._back(self.drop(torch.softmax(score, dim=-1)) @ value), None
        vectors = self.vector_norm(vectors)
        seen = self._seen(lines, vectors, query, key, value)
        local_query, vector_key, vector_value = seen[:3]
        among = self.scale * local_query @ vector_key[:, None, None].transpose(-2, -1)
        weight = self.drop(torch.softmax(torch.cat((score, among), dim=-1), dim=-1))
        near, far = weight[..., :lines.shape[3]], weight[..., lines.shape[3]:]
        return self._back(near @ value + far @ vector_value[:, None, None]), self._new_vectors(*seen[3:])

    def _seen(self, lines: Tensor, vectors: Tensor, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """Who asks whom: the field the vectors (query, key, value), then the vectors the field (query, key, value)
        and each other (query, key, value)."""
        across = self.across
        if not across.separate:
            vector_query, vector_key, vector_value = self._split(across.vectors(vectors), 3)
            return (query, vector_key, vector_value, vector_query, key, value, vector_query, vector_key, vector_value)
        return (*self._split(across.local_query(lines), 1), *self._split(across.vector_key_value(vectors), 2),
                *self._split(across.vector_query(vectors), 1), *self._split(across.local_key(lines), 1),
                *self._split(across.local_value(lines), 1), *self._split(across.among(vectors), 3))

    def _new_vectors(self, query: Tensor, key: Tensor, value: Tensor, own_query: Tensor, own_key: Tensor,
                     own_value: Tensor) -> Tensor:
        all_keys, all_values = (part.movedim(3, 1).flatten(2, 4) for part in (key, value))  # (B, heads, places, c)
        to_places = query @ all_keys.transpose(-2, -1)
        to_each_other = own_query @ own_key.transpose(-2, -1)
        weight = self.drop(torch.softmax(self.scale * torch.cat((to_places, to_each_other), dim=-1), dim=-1))
        places = all_keys.shape[2]
        new = weight[..., :places] @ all_values + weight[..., places:] @ own_value
        return torch.as_tensor(self.drop(self.vector_leave(new.transpose(1, 2).flatten(2))))

    def _split(self, projected: Tensor, parts: int) -> tuple[Tensor, ...]:
        """(..., L, parts * C) to ``parts`` times (..., heads, L, C / heads)."""
        shaped = projected.reshape(*projected.shape[:-1], parts, self.heads, -1).movedim(-3, 0)
        return tuple(shaped.transpose(-3, -2).unbind(0))

    def _distance_bias(self, length: int) -> Tensor:
        """(heads, L, L); axes shorter than the table use its middle."""
        return distance_bias(self.bias, self.length, length, length)

    def _back(self, attended: Tensor) -> Tensor:
        """(B, ., ., heads, L, c) to the field's own order."""
        joined = attended.transpose(-3, -2).flatten(-2)
        return torch.as_tensor(self.drop(self.leave(joined)).movedim(3, self.axis))


class CrossAttention(nn.Module):
    """Each place of the forecast looks at the encoded frames of the same place. most: the table's longest time."""

    def __init__(self, width: int, heads: int, most: int, drop: float) -> None:
        super().__init__()
        self.heads, self.most, self.scale = heads, most, (width // heads) ** -0.5
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.empty(2 * most - 1, heads).normal_(std=0.02))
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.leave = nn.Linear(width, width)
        self.drop = nn.Dropout(drop)
        self.feed = FeedForward(width, drop)

    def forward(self, x: Tensor, encoded: Tensor) -> Tensor:
        """x: (B, T', H, W, C). encoded: (B, T, H, W, C)."""
        asked, told = self.norm(x).movedim(1, 3), encoded.movedim(1, 3)  # (B, H, W, T, C)
        query = self.query(asked).unflatten(-1, (self.heads, -1)).transpose(-3, -2)
        key, value = self.key_value(told).unflatten(-1, (2, self.heads, -1)).movedim(-3, 0).transpose(-3, -2)
        score = self.scale * query @ key.transpose(-2, -1) + distance_bias(
            self.bias, self.most, asked.shape[3], told.shape[3])
        attended = (self.drop(torch.softmax(score, dim=-1)) @ value).transpose(-3, -2).flatten(-2)
        return torch.as_tensor(self.feed(x + self.drop(self.leave(attended)).movedim(3, 1)))


class AxialBlock(nn.Module):
    """Attention along time, rows, columns, a feed-forward part after each."""

    def __init__(self, width: int, heads: int, shape: Cube, vectors: bool, separate: bool, drop: float) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(AxialAttention(width, heads, axis + 1, shape[axis], vectors, separate, drop)
                                        for axis in range(3))
        self.feeds = nn.ModuleList(FeedForward(width, drop) for _ in range(3))

    def forward(self, x: Tensor, vectors: Tensor | None) -> tuple[Tensor, Tensor | None]:
        for attention, feed in zip(self.attentions, self.feeds, strict=True):
            change, more = attention(x, vectors)
            x = feed(x + change)
            vectors = None if vectors is None else vectors + more
        return x, vectors


def distance_bias(table: Tensor, length: int, rows: int, columns: int) -> Tensor:
    """(heads, rows, columns): entry (i, j) is the value of the table (2 length - 1, heads) for the distance i - j."""
    distance = torch.arange(rows, device=table.device)[:, None] - torch.arange(columns, device=table.device)[None, :]
    return table[distance + length - 1].permute(2, 0, 1)
