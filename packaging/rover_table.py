"""Remakes docs/rover-scores.md: CSI at 0.5 mm/h by lead time, from the real archives beside the project.

    python packaging/rover_table.py ../shared/data docs/rover-scores.md

Every forecast is written by the command ``forecast`` and scored by the command ``verify``, as a user would.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from engine import commands

FORECASTERS = ("persistence", "rover-linear", "rover-nonlinear")
THRESHOLD_INDEX = 0


@dataclass(frozen=True)
class Event:
    """references: indices of the reference frames; each has at least ``leads`` frames after it."""

    title: str
    folder: str
    references: range
    leads: int


EVENTS = (
    Event("KNMI 2010-08-26 (5 min)", "knmi/2010-08-26", range(4, 72, 6), 20),
    Event("MeteoSwiss 2015-05-15 (5 min)", "mch-aqc/2015-05-15", range(4, 20, 2), 20),
    Event("MeteoSwiss 2017-01-31 (5 min)", "mch-aqc/2017-01-31", range(4, 20, 2), 20),
    Event("OPERA 2018-08-24 (15 min)", "opera/2018-08-24", range(4, 16, 2), 8),
)


def answer(*arguments: object) -> dict[str, Any]:
    """Runs a command and returns its document."""
    spoken = StringIO()
    with redirect_stdout(spoken):
        code = commands.run([str(a) for a in arguments] + ["--json"])
    if code:
        raise SystemExit(f"{arguments[0]} ended with {code}")
    document: dict[str, Any] = json.loads(spoken.getvalue())
    return document


def scores(event: Event, data: Path, forecaster: str) -> list[float]:
    """CSI by lead time, counts pooled over the event's reference times."""
    archive = data / event.folder
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{index}.nc" for index in event.references]
        for index, file in zip(event.references, files, strict=True):
            answer("forecast", archive, "--forecaster", forecaster, "--index", index, "--lead-times", event.leads,
                   "-o", file)
        document = answer("verify", *files, "--against", archive)
    row: list[float] = document["csi"][THRESHOLD_INDEX]
    return row


def table(event: Event, data: Path) -> str:
    """One Markdown section."""
    found = {name: scores(event, data, name) for name in FORECASTERS}
    below = [str(lead + 1) for lead in range(1, event.leads)
             if found["rover-nonlinear"][lead] <= found["persistence"][lead]]
    lines = [f"## {event.title}", "", f"{len(event.references)} reference times: frames {list(event.references)}.", "",
             "| lead | " + " | ".join(FORECASTERS) + " |", "|---" * (len(FORECASTERS) + 1) + "|"]
    lines += [f"| {lead + 1} | " + " | ".join(f"{found[name][lead]:.3f}" for name in FORECASTERS) + " |"
              for lead in range(event.leads)]
    verdict = f"at leads {', '.join(below)}" if below else "nowhere"
    return "\n".join([*lines, "", f"From the second lead time on, `rover-nonlinear` is at or below persistence "
                                  f"{verdict}.", ""])


def main() -> None:
    data, target = Path(sys.argv[1]), Path(sys.argv[2])
    sections = [table(event, data) for event in EVENTS]
    target.write_text("\n".join([
        "# Optical flow against persistence on real storms", "",
        "CSI at 0.5 mm/h, made by `stormdeck-engine forecast` and `verify` with their defaults (5 input frames);",
        "counts are pooled over the reference times of an event, then scored. Each forecaster is scored on the cells",
        "for which it has a forecast. Remade by `packaging/rover_table.py`.", "", *sections]))


if __name__ == "__main__":
    main()
