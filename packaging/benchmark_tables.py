"""Remakes docs/benchmark.md: the HKO-7 protocol over the real archives beside the project.

    python packaging/benchmark_tables.py ../shared/data docs/benchmark.md [folder for what is kept between runs]

Everything is computed by the command ``benchmark``. Forecasters that need no weights take part, and every network
whose weights are found; what was computed before is kept, so that a network that gets weights later costs only itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from engine import commands
from engine.export.tables import as_markdown

INTRODUCTION = """\
# Benchmark on real archives

The protocol of the HKO-7 benchmark (Shi et al. 2017, section 5.2), offline: `stormdeck-engine benchmark --protocol
offline` with 5 input frames, the same sequences for every forecaster, hits and misses pooled over all sequences at
each lead time, scores then averaged over the lead times. Pixels without observation stay out; where a forecast has no
value of its own (inflow from outside) it is scored as no rain, so that everyone is scored on the same pixels.
`coverage` is the share of scored pixels for which it had one. Best bold, second best underlined. An event is a rain
rate at or above the threshold in mm/h. B-MSE and B-MAE are sums over a frame in (pixel/255)² and pixel/255, so they
grow with the area and compare only within one table. A dash stands where a score is undefined because neither forecast
nor observation ever reached the threshold.

`make benchmark DATA=../shared/data` makes this page anew; results that exist already are kept in `out/benchmark`. Every
forecaster that needs no weights takes part. Networks that ship with weights learned from KNMI, FMI and MRMS, most of
them from these very hours, where their scores would say nothing: they take part on MeteoSwiss, BoM and OPERA, which had
no part in training, and so do S-PROG and ANVIL of pysteps (`pip install "stormdeck[compare]"`), with its Lucas-Kanade
motion and its default settings.

Few events, each of a few hours: differences in the last digits mean nothing, and none of these tables says how a
forecaster fares in another season or climate.
"""


@dataclass(frozen=True)
class Group:
    """Archives of one grid, scored together. wishes: further arguments of the command. hour: lead times
    within 60 minutes, of archives that no network that ships learned from; 0 for others."""

    title: str
    folders: tuple[str, ...]
    setting: str
    wishes: tuple[str, ...] = ()
    hour: int = 0


HOUR = """\
Mean CSI over the lead times up to 60 minutes, in mm/h, on the archives that no network learned from; the bold figure is
the mean of the four thresholds before it."""
HOUR_COLUMNS = ("0.5", "2", "5", "10", "mean of these", "30", "coverage of all lead times")


GROUPS = (
    Group("KNMI, 2010-08-26", ("knmi/2010-08-26",),
          "Widespread steady rain, hardly anything above 10 mm/h. 1 km, 5 min, 20 lead times (100 min), a sequence "
          "every 5 frames."),
    Group("MeteoSwiss, 2015-05-15 and 2017-01-31", ("mch-aqc/2015-05-15", "mch-aqc/2017-01-31"),
          "Heavy rain with embedded convection, and a winter front. 1 km, 5 min, 20 lead times (100 min), a sequence "
          "every 5 frames.", hour=12),
    Group("FMI, 2016-09-28 and 2017-05-09", ("fmi-pgm/2016-09-28", "fmi-pgm/2017-05-09"),
          "Widespread rain with cells, and scattered light rain; reflectivity with Z = 223 R^1.53. 1 km, 5 min, 20 "
          "lead times (100 min), a sequence every 5 frames."),
    Group("BoM, 2020-10-31", ("bom-prcp-c10/2020-10-31",),
          "Showers and storms around Brisbane. 500 m, 10 min, 20 lead times (200 min), a sequence every 5 frames; the "
          "first 12, up to 13:10 UTC (`--limit 12`), since the rest of the day is nearly dry.", ("--limit", "12"),
          hour=6),
    Group("FMI GeoTIFF, 2017-05-09", ("fmi-geotiff/2017-05-09",),
          "The last hour of the second FMI event. 250 m averaged to 1 km (`--pixel-km 1`), 5 min; 12 frames allow one "
          "sequence of 7 lead times (35 min).", ("--pixel-km", "1", "--lead-times", "7")),
    Group("MRMS, 2019-06-10", ("mrms/2019-06-10",),
          "Convective systems over the United States. 0.01° averaged to 4 km (`--pixel-km 4`), 2 min, 20 lead times "
          "(40 min), a sequence every 5 frames.", ("--pixel-km", "4")),
    Group("OPERA, 2018-08-24", ("opera/2018-08-24",),
          "Rain rate over Europe. 2 km, 15 min, 8 lead times (120 min), a sequence every 3 frames.",
          ("--lead-times", "8", "--every", "3"), hour=4),
)


def command(*arguments: object) -> tuple[int, Any]:
    """(exit code, document) of a command."""
    spoken = StringIO()
    with redirect_stdout(spoken):
        code = commands.run([*(str(argument) for argument in arguments), "--json"])
    return code, json.loads(spoken.getvalue()) if code == 0 else None


def present(untouched: bool) -> list[str]:
    """Forecasters that can run now. untouched: networks and methods of other libraries, too."""
    _, found = command("models")
    simple = {model["name"] for model in found if model["parameters"] == 0 and not model["needs"]}
    return [model["name"] for model in found if model["kind"] == "forecaster" and not model["missing"]
            and (model["parameters"] == 0 or model["weights"]) and (untouched or model["name"] in simple)]


def scored(group: Group, data: Path, kept: Path) -> tuple[dict[str, Any], list[str]]:
    """The command's document, and forecasters that could not take part (too few inputs for them, say)."""
    archives = [data / folder for folder in group.folders]
    work = ("--device", "cpu", *group.wishes, "--work", kept / f"{group.folders[0].replace('/', '-')}.sqlite")
    able, unable = present(untouched=group.hour > 0), []
    code, document = command("benchmark", *archives, "--forecasters", ",".join(able), *work)
    if code:  # somebody cannot: each by itself tells who
        codes = {name: command("benchmark", *archives, "--forecasters", name, *work)[0] for name in able}
        able, unable = ([name for name in codes if bool(codes[name]) is failed] for failed in (False, True))
        if not able:
            raise SystemExit(f"{group.title}: nobody could take part")
        _, document = command("benchmark", *archives, "--forecasters", ",".join(able), *work)
    print(f"{group.title}: {', '.join(able)}", flush=True)
    return document, unable


def section(group: Group, document: dict[str, Any], unable: list[str]) -> str:
    sequences = next(iter(document["forecasters"].values()))["sequences"]
    left_out = f" Could not take part with these inputs: {', '.join(unable)}." if unable else ""
    return "\n".join([f"## {group.title}", "", f"{group.setting} {sequences} sequence{'s' if sequences > 1 else ''}."
                      f"{left_out}", "", as_markdown(document)])


def first_hour(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """Means over the lead times up to 60 minutes, by the title of a group."""
    lines = ["## The first hour", "", HOUR, "", "| | forecaster | " + " | ".join(HOUR_COLUMNS) + " |",
             "|---" * (len(HOUR_COLUMNS) + 2) + "|"]
    for group in GROUPS:
        shown = documents[group.title]["forecasters"] if group.hour else {}
        for name, scores in shown.items():
            means = [_mean(row[:group.hour]) for row in scores["csi"][:5]]
            cells = [*(f"{mean:.3f}" for mean in means[:4]), f"**{_mean(means[:4]):.3f}**", f"{means[4]:.3f}",
                     f"{scores['coverage']:.3f}"]
            lines.append(f"| {group.title} | {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / max(len(known), 1)


def main() -> None:
    data, target = Path(sys.argv[1]), Path(sys.argv[2])
    kept = Path(sys.argv[3]) if len(sys.argv) > 3 else Path("out") / "benchmark"
    kept.mkdir(parents=True, exist_ok=True)
    missing = [folder for group in GROUPS for folder in group.folders if not (data / folder).is_dir()]
    if missing:
        raise SystemExit(f"{data} lacks {', '.join(missing)}")
    found = {group.title: scored(group, data, kept) for group in GROUPS}
    sections = [section(group, *found[group.title]) for group in GROUPS]
    hour = first_hour({title: document for title, (document, _) in found.items()})
    target.write_text("\n".join([INTRODUCTION, hour, *sections]), encoding="utf-8")


if __name__ == "__main__":
    main()
