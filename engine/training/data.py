"""Batches for every step of a run, read ahead by other processes where wished. What a step sees follows from the seed
and the step, whoever reads it and wherever a run begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset

from engine.training.augment import augmented_with
from engine.training.preparation import Example, Preparation
from engine.training.recipe import Recipe
from engine.training.sampling import Order, sample_draw
from engine.training.source import Source, piece

Place = tuple[int, int]
"""Step, and position in its batch."""


@dataclass(frozen=True)
class Share:
    """Which part of each batch this process does."""

    rank: int = 0
    world: int = 1


class Lessons(Dataset[Example]):
    """``lessons[step, position]`` is what stands at that place in that step's batch."""

    def __init__(self, source: Source, recipe: Recipe, preparation: Preparation, order: Order) -> None:
        self.source, self.recipe, self.preparation, self.order = source, recipe, preparation, order

    def __getitem__(self, place: Place) -> Example:
        step, position = place
        data, draw = self.recipe.data, sample_draw(self.recipe.run.seed, step, position)
        whole = self.source.sequence(int(self.order.of_step(step)[position]))
        cut = piece(whole, data.inputs + data.leads, data.every, data.crop, draw)
        changed, below = augmented_with(cut.codes, cut.planes(), self.recipe.augment, draw)
        return self.preparation.prepare(cut.placed(changed, below), draw)


class Plan:
    """The places of each part of each step from ``first`` to before ``last``, one part after the other."""

    def __init__(self, first: int, last: int, batch: int, parts: int, share: Share) -> None:
        self.steps, self.parts = range(first, last), parts
        each = batch // share.world
        self.positions = range(share.rank * each, (share.rank + 1) * each)

    def __iter__(self) -> Iterator[list[Place]]:
        size = len(self.positions) // self.parts
        for step in self.steps:
            for part in range(self.parts):
                yield [(step, position) for position in self.positions[part * size:(part + 1) * size]]

    def __len__(self) -> int:
        return len(self.steps) * self.parts


def batches(lessons: Lessons, plan: Plan, workers: int, pin: bool) -> Iterator[list[Example]]:
    """For each step of the plan its parts."""
    loader: DataLoader[Example] = DataLoader(
        lessons, batch_sampler=plan, num_workers=workers, collate_fn=collated,
        pin_memory=pin, multiprocessing_context="spawn" if workers else None,
        generator=torch.Generator())  # its own: nothing touches the global one
    parts: list[Example] = []
    for example in loader:
        parts.append(example)
        if len(parts) == plan.parts:
            yield parts
            parts = []


def collated(examples: list[Example]) -> Example:
    """One batch of several examples."""
    inputs = tuple(torch.stack(same) for same in zip(*(example.inputs for example in examples), strict=True))
    return Example(inputs, torch.stack([e.targets for e in examples]), torch.stack([e.valid for e in examples]))


def on_device(batch: Example, device: str) -> Example:
    return Example(tuple(given.to(device, non_blocking=True) for given in batch.inputs),
                   batch.targets.to(device, non_blocking=True), batch.valid.to(device, non_blocking=True))


def fixed_batches(source: Source, recipe: Recipe, preparation: Preparation, share: Share) -> Iterator[Example]:
    """The validation's: the same sequences each time, the middle of each, nothing changed, spread over all there
    are."""
    data, count = recipe.data, len(source)
    most = min(recipe.run.validation or count, count)
    chosen = [number * count // most for number in range(most)][share.rank::share.world]
    size = max(1, recipe.run.batch // recipe.run.accumulate // share.world)
    for start in range(0, len(chosen), size):
        examples = []
        for index in chosen[start:start + size]:
            cut = piece(source.sequence(index), data.inputs + data.leads, data.every, data.crop, None)
            examples.append(preparation.prepare(cut, sample_draw(0, 0, index)))
        yield collated(examples)
