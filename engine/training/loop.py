"""The training loop: steps, validations, checkpoints. What happens at a step follows from the recipe, the seed and the
state before it, so that a run that was killed goes on to the same weights as one that was not."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from engine.cancel import CancelToken
from engine.errors import Cancelled, Diverged, NotEnoughInput
from engine.networks.rollout import asking
from engine.training import checkpoint, validation
from engine.training.data import Lessons, Plan, Share, batches, fixed_batches, on_device
from engine.training.optimisers import Average, clipped, optimiser, rate_of, set_learning_rate
from engine.training.preparation import Example, Preparation, Teaching
from engine.training.recipe import Recipe
from engine.training.rival import Rival
from engine.training.sampling import Order
from engine.training.share import shared
from engine.training.source import Source
from engine.training.teacher import Lesson, Teacher, total_loss
from engine.training.told import Note, SampleForecast, Saved, StepDone, Told, Validated

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass
class Progress:
    """Where a run is. best: the smallest figure of a validation; since: validations without a better one."""

    step: int = 0
    best: float = float("inf")
    since: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


class Training:
    """One run. network: with the weights it starts from. learn: what is trained on; check: what is validated on, of
    length 0 where there is none. discriminator: for adversarial losses."""

    def __init__(self, recipe: Recipe, network: nn.Module, preparation: Preparation, learn: Source, check: Source,
                 order: Order, folder: Path, *, device: str = "cpu", share: Share | None = None,
                 discriminator: nn.Module | None = None, token: CancelToken | None = None) -> None:
        self.recipe, self.preparation, self.learn, self.check = recipe, preparation, learn, check
        self.order, self.folder, self.device = order, folder, device
        self.share, self.token = share or Share(), token or CancelToken()
        self.network = network.to(device)
        freeze(network, recipe.model.freeze)
        self.learning = [p for p in network.parameters() if p.requires_grad]
        self.teacher = Teacher(network, preparation, total_loss(recipe.loss, preparation), recipe.run.recompute)
        self.optimiser = optimiser(recipe.optimiser, self.learning)
        self.average = Average(network, recipe.optimiser.ema) if recipe.optimiser.ema else None
        self.rival = Rival(discriminator.to(device), recipe, self.share) if discriminator is not None else None
        half = recipe.run.precision if device == "cuda" else "float32"
        self.precision = PRECISIONS[half]
        self.scaler = torch.amp.GradScaler(device, enabled=half == "float16")
        self.progress = Progress()
        self._shared = shared(self.teacher, self.share)

    @property
    def steps(self) -> int:
        """In all."""
        run = self.recipe.run
        return run.steps or max(1, round(run.epochs * self.order.steps_per_epoch))

    def _due(self, every: int) -> bool:
        return self.progress.step % (every or self.order.steps_per_epoch) == 0

    def resume(self) -> None:
        """Goes on from the newest checkpoint of the folder. Raises NotEnoughInput where there is none."""
        self.restore(checkpoint.newest(self.folder))

    def run(self) -> Iterator[Told]:
        """To the end, or until the token is cancelled: then a checkpoint is written and Cancelled raised.

        Raises Diverged where the loss or its gradient is not finite, UnwritableOutput where a checkpoint cannot be
        written; the last good one stays."""
        yield from self._greeting()
        try:
            yield from self._steps()
        except Cancelled:
            self.optimiser.zero_grad()
            yield from self._save()
            raise
        except GeneratorExit:  # whoever listens was cancelled between two words
            for _ in self._save():
                pass
            raise

    def _greeting(self) -> Iterator[Told]:
        if self.recipe.run.precision != "float32" and self.precision is None:
            yield Note(self.progress.step, f"{self.recipe.run.precision} is for CUDA; {self.device} uses float32.")
        if len(self.check) == 0:
            yield Note(self.progress.step, "There is nothing to validate on; the last weights count as the best.")

    def _steps(self) -> Iterator[Told]:
        run, first = self.recipe.run, self.progress.step
        lessons = Lessons(self.learn, self.recipe, self.preparation, self.order)
        plan = Plan(first, self.steps, run.batch, run.accumulate, self.share)
        if first and self._due(run.validate_every) and not any(h["step"] == first for h in self.progress.history):
            yield from self._validate()  # the run was stopped before or while it was done
        before = time.perf_counter()
        for parts in batches(lessons, plan, self.recipe.data.workers, pin=self.device == "cuda"):
            self.token.check()
            values = self._step(parts)
            values["sequences_per_second"] = run.batch / max(time.perf_counter() - before, 1e-9)
            step = self.progress.step
            yield StepDone(step, self.steps, self.order.epoch(step), values)
            last = step == self.steps
            if last or self._due(run.validate_every):
                yield from self._validate()
            stop = run.patience > 0 and self.progress.since >= run.patience
            if last or stop or self._due(run.save_every):
                yield from self._save()
            if stop:
                yield Note(step, f"Stopped early: {self.progress.since} validations brought nothing better.")
                return
            before = time.perf_counter()

    def _step(self, parts: list[Example]) -> dict[str, float]:
        """Forward and back over the parts of a batch, then one step of the optimiser, and of the discriminator's."""
        step, wish = self.progress.step, self.recipe.optimiser
        self.network.train()
        set_learning_rate(self.optimiser, wish, step, self.steps)
        self.optimiser.zero_grad()
        sums: dict[str, torch.Tensor] = {}
        with self._randomness(step):
            for number, part in enumerate(parts):
                lesson = self._lesson(part, last=number == len(parts) - 1, parts=len(parts), number=number)
                for name, value in {"loss": lesson.loss.detach(), **lesson.parts}.items():
                    sums[name] = sums.get(name, 0.0) + value / len(parts)
        values = {name: float(value) for name, value in sums.items()}
        self.scaler.unscale_(self.optimiser)
        values["gradient_norm"] = clipped(self.learning, wish.clip)
        if self.rival is not None:
            values["discriminator"] = self.rival.loss
        self._check_finite(values)
        values["learning_rate"] = rate_of(self.optimiser)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.rival is not None:
            self.rival.optimiser.step()
        if self.average is not None:
            self.average.update()
        self.progress.step += 1
        return values

    def _lesson(self, part: Example, *, last: bool, parts: int, number: int) -> Lesson:
        step = self.progress.step
        batch, epoch = on_device(part, self.device), self.order.epoch(step)
        draw = torch.Generator().manual_seed(_mixed(self.recipe.run.seed, step, self.share.rank, number))
        teaching = Teaching(self.recipe.loss.over, self._share_true(), draw)
        waiting = nullcontext() if last or self.share.world == 1 else self._shared.no_sync()
        with ExitStack() as around:
            around.enter_context(waiting)
            if not any(True for _ in self.network.buffers()):  # else a stopped pass would leave its traces in them
                around.enter_context(asking(self.network, self.token.check))
            lesson: Lesson = self._shared(batch, teaching, epoch, self.precision,
                                          self.rival.network if self.rival else None)
            self.scaler.scale(lesson.loss / parts).backward()  # type: ignore[no-untyped-call]
        if self.rival is not None:
            self.rival.learn(lesson.taught, self.recipe.loss, parts=parts, first=number == 0, last=last)
        return lesson

    def _share_true(self) -> float:
        """Of scheduled sampling: from 1 to 0 over the run."""
        return 1.0 - self.progress.step / self.steps if self.recipe.loss.scheduled_sampling else 0.0

    def _randomness(self, step: int) -> ExitStack:
        """Within, what networks draw (dropout) follows from seed and step; the global state is as before after it."""
        around = ExitStack()
        around.enter_context(torch.random.fork_rng(
            devices=[torch.cuda.current_device()] if self.device == "cuda" else []))
        torch.manual_seed(_mixed(self.recipe.run.seed, step, self.share.rank, -1))
        return around

    def _check_finite(self, values: dict[str, float]) -> None:
        wrong = [name for name, value in values.items() if not _finite(value)]
        if self.scaler.is_enabled() and wrong == ["gradient_norm"]:
            return  # the scaler leaves such a step out and scales less
        if wrong:
            kept = [step for step, _ in checkpoint.steps_kept(self.folder)]
            raise Diverged(
                f"Training stopped at step {self.progress.step + 1}: {', '.join(wrong)} is not a finite number. "
                + (f"The checkpoint of step {kept[-1]} is whole." if kept else "There is no checkpoint yet."),
                advice="Lower the learning rate or clip the gradient (optimiser.clip), and go on with --resume.")

    def _validate(self) -> Iterator[Told]:
        if len(self.check) == 0:
            return
        with self.average.in_place() if self.average is not None else nullcontext():
            scores, sample = self._scores()
        figure, progress = validation.to_beat(scores, self.recipe.title), self.progress
        better = figure < progress.best
        progress.best, progress.since = min(figure, progress.best), 0 if better else progress.since + 1
        progress.history.append({"step": progress.step, "figure": figure, "scores": scores})
        if better and self.share.rank == 0:
            checkpoint.save(self.folder / checkpoint.BEST, self.content(best=True))
        yield Validated(progress.step, scores, better)
        if sample is not None:
            yield sample

    def _scores(self) -> tuple[dict[str, Any], SampleForecast | None]:
        found = validation.Scores(self.preparation, self.recipe.data.leads)
        sample: SampleForecast | None = None
        self.network.eval()
        with torch.no_grad():
            for batch in fixed_batches(self.check, self.recipe, self.preparation, self.share):
                self.token.check()
                sample = _rainier(sample, self._score(on_device(batch, self.device), found))
        if self.share.world > 1:
            found.gathered()
        return found.document(), sample

    def _score(self, batch: Example, found: validation.Scores) -> SampleForecast | None:
        lesson = self.teacher(batch, Teaching(self.recipe.loss.over), self.order.epoch(self.progress.step),
                              self.precision, self.rival.network if self.rival else None)
        count = batch.targets.shape[0]
        found.loss += float(lesson.loss) * count
        found.sequences += count
        forecast, last = self.preparation.forecast(lesson.taught), self.preparation.persistence(batch)
        if forecast is None:
            return None
        truth, valid = lesson.taught.truth, lesson.taught.valid
        found.add(self.recipe.title, forecast, truth, valid)
        if last is not None:
            found.add(validation.PERSISTENCE, last, truth, valid)
        wettest = int((truth * valid).sum(dim=(1, 2, 3, 4)).argmax())
        observed = truth[wettest, :, 0].masked_fill(~valid[wettest, :, 0], torch.nan)
        shown = forecast[wettest, :, 0].float()
        return SampleForecast(self.progress.step, observed.cpu().numpy(), shown.cpu().numpy())

    def _save(self) -> Iterator[Told]:
        if self.share.rank != 0:
            return
        path = checkpoint.step_file(self.folder, self.progress.step)
        checkpoint.save(path, self.content())
        checkpoint.thin_out(self.folder, self.recipe.run.keep)
        yield Saved(self.progress.step, path)

    def content(self, best: bool = False) -> dict[str, Any]:
        """What a checkpoint holds; the best one has the weights that were validated and nothing to go on from.
        Random numbers need no state: they follow from seed and step."""
        average = self.average.kept if self.average is not None else None
        head = {"recipe": self.recipe.to_json(), "step": self.progress.step}
        if best:
            weights = average if average is not None else self.network.state_dict()
            return {**head, "network": weights, "scores": self.progress.history[-1]["scores"]}
        return {**head, "network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(),
                "average": average, "rival": None if self.rival is None else self.rival.content(),
                "scaler": self.scaler.state_dict(), "best": self.progress.best, "since": self.progress.since,
                "history": self.progress.history}

    def restore(self, content: dict[str, Any]) -> None:
        """What :meth:`content` gave. Raises NotEnoughInput where it does not fit the recipe's network."""
        try:
            self.network.load_state_dict(content["network"])
            self.optimiser.load_state_dict(content["optimiser"])
            if self.average is not None:
                self.average.kept = {k: v.to(self.device) for k, v in content["average"].items()}
            if self.rival is not None:
                self.rival.restore(content["rival"])
            self.scaler.load_state_dict(content["scaler"])
        except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as problem:
            raise NotEnoughInput(f"The checkpoint in {self.folder} is of another recipe ({problem}).",
                                 advice="Name another folder.") from problem
        self.progress = Progress(content["step"], content["best"], content["since"],
                                 copy.deepcopy(content["history"]))


def _rainier(one: SampleForecast | None, other: SampleForecast | None) -> SampleForecast | None:
    """The one with more rain, so that there is something to see; always the same one of a validation."""
    if one is None or other is None:
        return one or other
    return other if np.nansum(other.observed) > np.nansum(one.observed) else one


def freeze(network: nn.Module, beginnings: tuple[str, ...]) -> None:
    """Parameters whose names begin so are not trained."""
    for name, parameter in network.named_parameters():
        if any(name.startswith(beginning) for beginning in beginnings):
            parameter.requires_grad_(False)


def _mixed(*numbers: int) -> int:
    """A seed of several numbers."""
    return int(np.random.SeedSequence([number + 1 for number in numbers]).generate_state(1, np.uint64)[0] >> 1)


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")  # noqa: PLR0124 - NaN is not itself
