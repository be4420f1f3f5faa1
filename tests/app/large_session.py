"""A session of the real window on a large archive, told in memory: run as ``python -m tests.app.large_session PATH``.

Opens the archive, shows every frame, looks at values under the cursor, zooms and pans, and with ``--forecast``
lets the window forecast and scrubs once more. Prints one JSON document: the most memory (bytes) of the program and
the processes that it started, by stage. Linux only: shared pages are counted once (proportional set size).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import numpy as np
from PySide6.QtCore import QCoreApplication, QEventLoop
from PySide6.QtWidgets import QApplication

EVERY_SECONDS = 0.03
PATIENCE_SECONDS = 120.0


def pss(process: int) -> int:
    """Bytes of a process, of shared pages its share; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def family(process: int) -> Iterator[int]:
    """A process and all below it."""
    yield process
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            below = thread.read_text(encoding="ascii").split()
        except OSError:
            continue
        for child in below:
            yield from family(int(child))


class Watch(threading.Thread):
    """Looks at all processes of the program again and again. peak: (own, children's) bytes by stage at the moment
    when their sum was largest."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.stage = "start"
        self.peak: dict[str, tuple[int, int]] = {}

    def run(self) -> None:
        while True:
            own, *children = (pss(process) for process in family(os.getpid()))
            here = own, sum(children)
            if sum(here) > sum(self.peak.get(self.stage, (0, 0))):
                self.peak[self.stage] = here
            time.sleep(EVERY_SECONDS)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("--forecast", type=int, default=0, metavar="LEADS")
    wish = parser.parse_args()
    application = QApplication([sys.argv[0]])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STORMDECK_SETTINGS"] = folder
        answer = _session(application, wish.path, wish.forecast)
    sys.stdout.write(json.dumps(answer))
    return 0


def _session(application: QApplication, path: Path, leads: int) -> dict[str, object]:
    from app.settings import Settings
    from app.window import MainWindow

    watch = Watch()
    watch.start()
    settings = Settings()
    settings.values.lead_times = max(leads, 1)
    window = MainWindow(settings)
    window.resize(1600, 1000)
    window.show()
    hand = Hand(window)
    problems: list[str] = []
    window.session.failed.connect(lambda error: problems.append(str(error)))
    watch.stage = "open"
    window.startup.begin([path])
    hand.until(lambda: window.session.sequence is not None or bool(problems))
    hand.quiet()
    sequence = window.session.sequence
    if sequence is None:
        return {"problems": problems}
    window.session.set_reference(len(sequence) - 1)
    watch.stage = "scrub"
    hand.scrub()
    watch.stage = "cursor"
    exact = hand.values_are_exact()
    watch.stage = "zoom"
    fine = hand.zoom_about()
    if leads:
        watch.stage = "forecast"
        window.session.set_reference(15)
        window.session.run_forecast()
        hand.quiet(600.0)
        watch.stage = "forecast, scrubbed"
        hand.scrub()
    run = window.session.shown_run
    result = {"peak": watch.peak, "frames": len(sequence), "shape": list(sequence.grid.shape), "exact": exact,
              "fine": fine, "leads": len(run.frames) if run else 0, "torch": "torch" in sys.modules,
              "problems": problems}
    window.close()
    return result


class Hand:
    """What a forecaster does at the window."""

    def __init__(self, window) -> None:  # type: ignore[no-untyped-def]
        self.window = window

    def until(self, true: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                raise TimeoutError("the window did not come to rest")
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 50)

    def quiet(self, seconds: float = PATIENCE_SECONDS) -> None:
        window, forecasting = self.window, self.window.session.forecasting
        self.until(lambda: forecasting.active is None and not forecasting.scoring() and not window.bridge.busy()
                   and window.maps.settled and not window.maps.details.pending, seconds)

    def scrub(self) -> None:
        """Every place of the time axis, each waited for until both panes have painted it."""
        for position in range(len(self.window.session.places)):
            self.window.session.set_position(position)
            self.until(lambda: self.window.maps.settled)
        self.window.session.set_position(len(self.window.session.places) // 2)
        self.quiet()

    def values_are_exact(self) -> bool:
        """The readout against the archive's own values, at cells all over the map."""
        sequence, maps = self.window.session.sequence, self.window.maps
        place = self.window.session.place
        truth = sequence.rain_rate(place.frame)
        draw = np.random.default_rng(1)
        cells = np.stack([draw.integers(0, size, 400) for size in sequence.grid.shape], axis=1)
        wet = np.argwhere(truth > 0)[:: 997]
        for row, column in (*cells, *wet[:400]):
            value = maps.values_at(float(sequence.grid.x[column]), float(sequence.grid.y[row]))[0]
            if not np.array_equal(np.float32(value), truth[row, column], equal_nan=True):
                return False
        return True

    def zoom_about(self) -> bool:
        """In to some hundred cells, across the map, out again; whether details were drawn cell by cell."""
        maps = self.window.maps
        for _ in range(10):
            maps.zoom_in()
            self.quiet()
        fine = []
        for share in (0.2, 0.5, 0.8):
            left, right, bottom, top = self.window.session.sequence.grid.extent
            maps.observed.canvas.view._set_centre(left + share * (right - left), bottom + share * (top - bottom))
            self.quiet()
            for step in (1, -1):
                self.window.session.set_position(self.window.session.position + step)
                self.quiet()
                fine += [getattr(maps.details.on_show(number), "block", None) for number in (0, 1)]
        maps.reset_view()
        self.quiet()
        return set(fine) == {1}


if __name__ == "__main__":
    sys.exit(main())
