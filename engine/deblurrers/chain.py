"""A deblurrer behind a forecaster: lead times are gathered as the deblurrer needs them, ensembles taken member by
member, and the rules seen to that hold for all deblurrers.

The rules: no data stays no data; a field without contrast (all dry, all no data, the same everywhere) comes back as it
was; nothing is negative; total rain over the cells with data changes by less than :data:`TOLERANCE`, else the result
is multiplied by one number that brings the total back to what it was.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.deblurrers.protocol import Blurry, Context, Deblurrer, Observation, Options, Sharpened
from engine.forecasters.protocol import LeadFrame
from engine.radar.sequence import Field

TOLERANCE = 0.1
_MEMBER_SEED = 7919
"""Seeds of members lie this far apart, those of lead times one."""


@dataclass
class Ledger:
    """What was done to a forecast. rescaled: (lead minutes, relative change of the total that was undone)."""

    rescaled: list[tuple[float, float]]

    def words(self, name: str) -> str:
        """A sentence for the user; empty where there is nothing to say."""
        if not self.rescaled:
            return ""
        most = max((change for _, change in self.rescaled), key=abs)
        return (f"{name} changed total rain by up to {100 * most:+.0f} %; "
                f"{len(self.rescaled)} fields were scaled back to the total before.")


def sharpened(frames: Iterator[LeadFrame], deblurrer: Deblurrer, observation: Observation, options: Options,
              context: Context, ledger: Ledger | None = None) -> Iterator[LeadFrame]:
    """The lead times of a forecast, sharper. Single forecasts become ensembles where the deblurrer draws and more than
    one member is wished.

    Raises what the forecaster and the deblurrer raise, and Cancelled between frames."""
    ledger, first = ledger if ledger is not None else Ledger([]), 0
    count = deblurrer.at_once(context.device)
    while True:
        group = list(frames if count == 0 else itertools.islice(frames, count))
        if not group:
            return
        yield from _group(group, deblurrer, observation, replace(options, seed=options.seed + first), context, ledger)
        first += len(group)


def _group(group: list[LeadFrame], deblurrer: Deblurrer, observation: Observation, options: Options,
           context: Context, ledger: Ledger) -> Iterator[LeadFrame]:
    leads = tuple(frame.lead_minutes for frame in group)
    runs = []
    for number, before in enumerate(_members(group, deblurrer, options)):
        own = replace(options, seed=options.seed + number * _MEMBER_SEED, members=1)
        runs.append(_run(before, leads, deblurrer, observation, own, context, ledger))
    single = group[0].rain_rate.ndim == 2 and len(runs) == 1
    for frame, members in zip(group, zip(*runs, strict=True), strict=True):
        context.token.check()
        fields = [field for field, _ in members]
        yield LeadFrame(frame.lead_minutes, fields[0] if single else np.stack(fields), frame.rain_rate, members[0][1])


def _members(group: list[LeadFrame], deblurrer: Deblurrer, options: Options) -> list[list[Field]]:
    """One sequence for each member of the result."""
    if group[0].rain_rate.ndim == 3:
        return [[frame.rain_rate[m] for frame in group] for m in range(group[0].rain_rate.shape[0])]
    return [[frame.rain_rate for frame in group]] * (options.members if deblurrer.draws else 1)


def _run(before: list[Field], leads: tuple[float, ...], deblurrer: Deblurrer, observation: Observation,
         options: Options, context: Context, ledger: Ledger) -> Iterator[tuple[Field, NDArray[np.float32] | None]]:
    """Each field and the blur found in it. Only fields with contrast are shown to the deblurrer."""
    worth = [k for k, field in enumerate(before) if has_contrast(field)]
    results: Iterator[Sharpened] = iter(())
    if worth:
        known = np.stack([np.isfinite(before[k]) for k in worth])
        filled = np.stack([np.maximum(np.nan_to_num(before[k], nan=0.0), 0.0) for k in worth]).astype(np.float32)
        blurry = Blurry(filled, known, tuple(leads[k] for k in worth), observation)
        results = deblurrer.sharpen(blurry, options, context)
    for k, field in enumerate(before):
        context.token.check()
        if k not in worth:
            yield field, None
            continue
        found = next(results)
        result, change = ruled(field, found.rain_rate)
        if change:
            ledger.rescaled.append((leads[k], change))
        yield result, found.kernel


def has_contrast(field: Field) -> bool:
    """Whether the cells with data differ at all."""
    known: NDArray[np.float32] = field[np.isfinite(field)]
    return known.size > 0 and float(known.min()) < float(known.max())


def ruled(before: Field, after: Field) -> tuple[Field, float]:
    """The result as the rules want it, and the relative change of the total that was undone (0 where it was small).

    before, after: (ny, nx) mm/h. A result that is dry or not finite throughout is refused: the forecast stays."""
    known = np.isfinite(before)
    usable = np.where(np.isfinite(after), np.maximum(after, 0.0), np.maximum(before, 0.0))
    wanted = float(before[known].clip(0.0).sum(dtype=np.float64))
    found = float(usable[known].sum(dtype=np.float64))
    if found <= 0.0:
        return before.copy(), -1.0 if wanted > 0 else 0.0
    change = found / wanted - 1.0
    if abs(change) < TOLERANCE:
        change = 0.0
    else:
        usable = usable * (wanted / found)
    return np.where(known, usable, np.nan).astype(np.float32), change
