"""Remakes the scores of docs/deblurring.md: forecasts of events that nothing was trained on, before and after
sharpening, at 30, 60 and 90 minutes.

    python packaging/deblurring_table.py ../shared/data docs/deblurring.md

Forecasts are made of pixels of 2 km; what is compared is the square of 256 km with most rain at the reference time.
``flow-mean`` is the mean of four ROVER forecasts of the same time: linear and non-linear, from the reference time and
from the frame before it. A third argument is a file that keeps results, so that forecasters whose weights come later
join those that are there; a fourth the number of threads.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import torch
from page_parts import put

from engine.archives import open_archive
from engine.deblurrers.chain import ruled, sharpened
from engine.deblurrers.postcast import PostCastSmall, matched
from engine.deblurrers.protocol import Observation, Options
from engine.errors import StormdeckError
from engine.forecasters.protocol import Context, LeadFrame
from engine.jobs import weights
from engine.jobs.events import FrameReady
from engine.jobs.forecast import ForecastRequest
from engine.jobs.forecast import run as forecast
from engine.jobs.scope import Scope
from engine.radar.operations import crop, resample_to
from engine.radar.packed import unpacked
from engine.radar.rings import ring_power
from engine.radar.scaling import RAIN_CLASSES
from engine.radar.sequence import Field, RadarSequence
from engine.verification.pooling import pool_pair

PIXEL_KM, SIDE, STRIDE, AROUND = 2.0, 128, 8, 64
LEADS = (30, 60, 90)
POOLS = (1, 4, 16)
POPULATED = 0.001
"""Share of the compared cells that must reach a threshold for it to count as populated."""
WAVES_KM = (4.0, 16.0)
FLOW_MEAN = "flow-mean"
FORECASTERS = (FLOW_MEAN, "simvp", "ms-convlstm", "ms-predrnn", "convgru", "pysteps-sprog")
DRAWN = "postcast, as drawn"
DEBLURRERS = ("", DRAWN, "postcast", "probability-matching", "unsharp", "wiener")


@dataclass(frozen=True)
class Event:
    folder: str
    references: tuple[str, ...]


GROUPS = {
    "MeteoSwiss": (Event("mch-aqc/2015-05-15", ("2015-05-15 16:55",)),
                   Event("mch-aqc/2017-01-31", ("2017-01-31 10:55",))),
    "BoM": (Event("bom-prcp-c10/2020-10-31", ("2020-10-31 07:00",)),),
    "OPERA": (Event("opera/2018-08-24", ("2018-08-24 20:45",)),),
}


@dataclass
class Sums:
    """Of one forecaster, deblurrer and lead time in a group. counts: by threshold and pooling, hits, misses, false
    alarms, correct negatives. power: predicted and observed at 4 to 16 km. rain: after and before."""

    counts: dict[tuple[float, int], np.ndarray] = field(default_factory=dict)
    power: np.ndarray = field(default_factory=lambda: np.zeros(2))
    rain: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def add(self, made: Field, before: Field, truth: Field) -> None:
        known = np.isfinite(truth) & np.isfinite(made)
        for pool in POOLS:
            seen, told = pool_pair(truth, made, pool)
            both = np.isfinite(seen) & np.isfinite(told)
            for threshold in RAIN_CLASSES:
                a, b = seen[both] >= threshold, told[both] >= threshold
                found = np.array([(a & b).sum(), (a & ~b).sum(), (~a & b).sum(), (~a & ~b).sum()], np.int64)
                self.counts[threshold, pool] = self.counts.get((threshold, pool), np.zeros(4, np.int64)) + found
        for number, one in enumerate((made, truth)):
            wave, power = ring_power(np.where(known, one, 0.0), (PIXEL_KM, PIXEL_KM))
            self.power[number] += power[(wave >= 1 / WAVES_KM[1]) & (wave <= 1 / WAVES_KM[0])].sum()
        self.rain += (float(np.nansum(made)), float(np.nansum(before)))

    def observed_share(self, threshold: float) -> float:
        hits, misses, _, _ = counts = self.counts[threshold, 1]
        return float((hits + misses) / counts.sum())

    def csi(self, threshold: float, pool: int) -> float:
        hits, misses, alarms, _ = self.counts[threshold, pool]
        return float(hits / max(1, hits + misses + alarms))

    def pod(self, threshold: float) -> float:
        hits, misses, _, _ = self.counts[threshold, 1]
        return float(hits / max(1, hits + misses))

    def hss(self, threshold: float) -> float:
        hits, misses, alarms, rest = (float(count) for count in self.counts[threshold, 1])
        below = (hits + misses) * (misses + rest) + (hits + alarms) * (alarms + rest)
        return 2 * (hits * rest - misses * alarms) / below if below else 0.0

    @property
    def spectrum(self) -> float:
        return float(self.power[0] / self.power[1])


Results = dict[tuple[str, str, str, int], Sums]
"""By group, forecaster, deblurrer and minutes."""


def opened(data: Path, event: Event) -> RadarSequence:
    sequence = open_archive([data / event.folder])
    small = max(abs(km / PIXEL_KM - 1) for km in sequence.grid.pixel_km) < 0.05
    return sequence if small else resample_to(sequence, PIXEL_KM)


def rainiest(rain_rate: Field) -> tuple[slice, slice]:
    """The square with most rain, at most a third of it without data; cells above 20 mm/h count as 20."""
    ny, nx = rain_rate.shape
    places = [(r, c) for r in range(0, ny - SIDE + 1, STRIDE) for c in range(0, nx - SIDE + 1, STRIDE)]
    squares = [rain_rate[r:r + SIDE, c:c + SIDE] for r, c in places]
    sums = [float(np.nansum(np.minimum(one, 20.0))) if np.isnan(one).mean() < 1 / 3 else -1.0 for one in squares]
    row, column = places[int(np.argmax(sums))]
    return slice(row, row + SIDE), slice(column, column + SIDE)


def forecasts(name: str, sequence: RadarSequence, index: int) -> dict[int, Field]:
    """By minutes."""
    if name == FLOW_MEAN:
        return flow_mean(sequence, index)
    step = sequence.step_minutes or 5.0
    wish = ForecastRequest(sequence, forecaster=name, index=index, lead_times=round(max(LEADS) / step), device="cpu")
    return {round(event.lead_minutes): np.asarray(unpacked(event.rain_rate)) for event in forecast(wish, Scope())
            if isinstance(event, FrameReady) and round(event.lead_minutes) in LEADS}


def flow_mean(sequence: RadarSequence, index: int) -> dict[int, Field]:
    step = sequence.step_minutes or 5.0
    members: dict[int, list[Field]] = {minutes: [] for minutes in LEADS}
    for name in ("rover-linear", "rover-nonlinear"):
        for late in range(2):
            wish = ForecastRequest(sequence, forecaster=name, index=index - late, inputs=2, device="cpu",
                                   lead_times=round(max(LEADS) / step) + late)
            for event in forecast(wish, Scope()):
                minutes = round(event.lead_minutes - late * step) if isinstance(event, FrameReady) else 0
                if isinstance(event, FrameReady) and minutes in members:
                    members[minutes].append(np.asarray(unpacked(event.rain_rate)))
    return {minutes: np.asarray(np.mean(found, axis=0), np.float32) for minutes, found in members.items()}


def around(square: tuple[slice, slice], shape: tuple[int, int]) -> tuple[slice, slice]:
    """With a margin for what comes in."""
    rows, columns = (slice(max(0, part.start - AROUND), min(size, part.stop + AROUND))
                     for part, size in zip(square, shape, strict=True))
    return rows, columns


def scored(data: Path, names: tuple[str, ...]) -> Results:
    results: Results = {}
    for group, events in GROUPS.items():
        for event in events:
            whole = opened(data, event)
            for time in event.references:
                index = whole.index_exactly_at(datetime.fromisoformat(time).replace(tzinfo=whole.times[0].tzinfo))
                assert index is not None, (event, time)
                square = rainiest(whole.rain_rate(index))
                wide = around(square, whole.grid.shape)
                part = (tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(square, wide, strict=True)))
                one_reference(results, group, crop(whole, *wide), index, (part[0], part[1]), names)
                print(group, time, square, file=sys.stderr, flush=True)
    return results


def one_reference(results: Results, group: str, sequence: RadarSequence, index: int, square: tuple[slice, slice],
                  names: tuple[str, ...]) -> None:
    inner = crop(sequence, *square)
    last = inner.rain_rate(index)
    seen = Observation(last, inner.times[index], inner.step_minutes or 5.0, inner.grid, inner.zr)
    truths = {minutes: inner.rain_rate_at(inner.times[index] + timedelta(minutes=minutes)) for minutes in LEADS}
    for name in names:
        made = {minutes: frame[square] for minutes, frame in forecasts(name, sequence, index).items()}
        after: dict[float, Field] = {}
        for deblurrer in DEBLURRERS:
            if deblurrer == "postcast":  # what was just drawn, with the values of the last observation
                after = {m: ruled(made[m], matched(np.nan_to_num(after[m]), np.isfinite(made[m]), seen))[0]
                         for m in LEADS}
            else:
                after = {frame.lead_minutes: frame.rain_rate for frame in sharp(deblurrer, made, seen)}
            for minutes in LEADS:
                truth = truths[minutes]
                assert truth is not None
                sums = results.setdefault((group, name, deblurrer, minutes), Sums())
                sums.add(after[minutes], made[minutes], truth)


def sharp(deblurrer: str, made: dict[int, Field], seen: Observation) -> Iterator[LeadFrame]:
    frames = iter([LeadFrame(minutes, np.ascontiguousarray(frame)) for minutes, frame in sorted(made.items())])
    if not deblurrer:
        return frames
    found = weights.deblurrer(deblurrer.partition(",")[0])
    if isinstance(found, PostCastSmall):
        found.matched = False
    return sharpened(frames, found, seen, Options(), Context())


def usable(name: str) -> bool:
    try:
        return name == FLOW_MEAN or weights.forecaster(name) is not None
    except StormdeckError as problem:
        print(f"{name}: {problem}", file=sys.stderr)
        return False


def threshold_of(results: Results, group: str, name: str, minutes: int) -> float:
    plain = results[group, name, "", minutes]
    return max((t for t in RAIN_CLASSES if plain.observed_share(t) >= POPULATED), default=RAIN_CLASSES[0])


def main_lines(results: Results, names: tuple[str, ...]) -> Iterator[str]:
    """Before and after PostCast."""
    yield ("| event | forecaster | min | mm/h | CSI | CSI, pool 4 | CSI, pool 16 | HSS | POD | power at 4 to 16 km | "
           "total rain |")
    yield "|---" * 11 + "|"
    for group in GROUPS:
        for name in names:
            for minutes in LEADS:
                t = threshold_of(results, group, name, minutes)
                before, after = (results[group, name, d, minutes] for d in ("", "postcast"))
                cells = [f"{before.csi(t, p):.3f} → {after.csi(t, p):.3f}" for p in POOLS]
                cells += [f"{before.hss(t):.3f} → {after.hss(t):.3f}", f"{before.pod(t):.3f} → {after.pod(t):.3f}",
                          f"{before.spectrum:.2f} → {after.spectrum:.2f}",
                          f"{100 * (after.rain[0] / max(after.rain[1], 1e-9) - 1):+.0f} %"]
                yield f"| {group} | `{name}` | {minutes} | {t:g} | " + " | ".join(cells) + " |"


def yardstick_lines(results: Results, names: tuple[str, ...]) -> Iterator[str]:
    """Means over events and lead times, for each forecaster and deblurrer."""
    yield "| forecaster | sharpened by | CSI | CSI, pool 4 | CSI, pool 16 | HSS | POD | power at 4 to 16 km |"
    yield "|---" * 8 + "|"
    for name in names:
        for deblurrer in DEBLURRERS:
            rows, powers = [], []
            for group in GROUPS:
                for minutes in LEADS:
                    t, sums = threshold_of(results, group, name, minutes), results[group, name, deblurrer, minutes]
                    rows.append([*(sums.csi(t, p) for p in POOLS), sums.hss(t), sums.pod(t)])
                    powers.append(max(sums.spectrum, 1e-6))
            means = " | ".join(f"{value:.3f}" for value in np.mean(rows, axis=0))
            label = f"`{deblurrer}`" if deblurrer else "nothing"
            yield f"| `{name}` | {label} | {means} | {np.exp(np.mean(np.log(powers))):.2f} |"


def verdict_lines(results: Results, names: tuple[str, ...]) -> Iterator[str]:
    """How often it got better, for each forecaster, of all events and lead times."""
    yield "| forecaster | CSI rose | pool 4 | pool 16 | power nearer to the observed |"
    yield "|---" * 5 + "|"
    cases = [(group, minutes) for group in GROUPS for minutes in LEADS]
    for name in names:
        better = np.zeros(4, int)
        for group, minutes in cases:
            t = threshold_of(results, group, name, minutes)
            before, after = (results[group, name, d, minutes] for d in ("", "postcast"))
            better[:3] += [after.csi(t, p) > before.csi(t, p) for p in POOLS]
            better[3] += abs(np.log(max(after.spectrum, 1e-9))) < abs(np.log(max(before.spectrum, 1e-9)))
        yield f"| `{name}` | " + " | ".join(f"{count} of {len(cases)}" for count in better) + " |"


def main() -> None:
    data, page, kept = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None
    torch.set_num_threads(int(sys.argv[4]) if len(sys.argv) > 4 else torch.get_num_threads())
    names = tuple(name for name in FORECASTERS if usable(name))
    results: Results = pickle.loads(kept.read_bytes()) if kept and kept.is_file() else {}
    for name in names:
        if not any(one == name for _, one, _, _ in results):
            results |= scored(data, (name,))
            if kept:
                kept.write_bytes(pickle.dumps(results))
    put(page, "postcast-verdict", list(verdict_lines(results, names)))
    put(page, "postcast-scores", list(main_lines(results, names)))
    put(page, "yardsticks", list(yardstick_lines(results, names)))


if __name__ == "__main__":
    main()
