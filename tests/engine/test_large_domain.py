"""Memory of a session on a large domain: 36 frames of 3,500 x 7,000 cells opened, scrubbed, forecast, scrubbed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import large_archive

LIMIT = 1.5e9
LEADS = 6

SCRIPT = r"""
import json, sys, threading, time
from collections import OrderedDict
from pathlib import Path
import numpy as np, psutil
from engine.jobs.display import DisplayRequest, PictureReady, Wanted
from engine.jobs.events import TERMINAL, ArchiveOpened, Failed, FrameReady
from engine.jobs.forecast import ForecastRequest
from engine.jobs.open import OpenRequest
from engine.service import EngineService

LEADS = int(sys.argv[2])
BUDGET = 256 << 20  # what the window keeps of pictures
me, peak, together = psutil.Process(), {}, {}
stage = ["start"]

def watch():
    while True:
        own = me.memory_info().rss
        others = 0
        for child in me.children(recursive=True):
            try:
                others += child.memory_info().rss
            except psutil.Error:
                pass
        peak[stage[0]] = max(peak.get(stage[0], 0), own)
        together[stage[0]] = max(together.get(stage[0], 0), own + others)
        time.sleep(0.02)

threading.Thread(target=watch, daemon=True).start()
done, kept, run, state, cpu = {}, OrderedDict(), {}, {}, {}
ready = threading.Condition()

def deliver(envelope):
    event = envelope.event
    with ready:
        if isinstance(event, ArchiveOpened):
            state["sequence"] = event.sequence
        elif isinstance(event, PictureReady):
            kept[event.name] = event.picture
            while sum(p.nbytes for p in kept.values()) > BUDGET and len(kept) > 2:
                kept.popitem(last=False)
        elif isinstance(event, FrameReady):
            run[event.lead_index] = event.rain_rate
        elif isinstance(event, TERMINAL):
            if isinstance(event, Failed):
                state["error"] = str(event.error)
            done[envelope.job] = event
            ready.notify_all()

def wait(job):
    with ready:
        while job not in done:
            ready.wait()

service = EngineService(deliver)
wait(service.submit("open", OpenRequest((Path(sys.argv[1]),))))
sequence, colours, thresholds = state["sequence"], np.full(256, 0xFF000000, np.uint32), (0.5, 2.0, 5.0, 10.0, 30.0)

def show(name, **what):
    wanted = (Wanted(name, **what),)
    wait(service.submit("display", DisplayRequest(wanted, colours, thresholds), key="display"))

def scrub(every=1):
    for index in range(len(sequence) - 1, -1, -every):
        show(index, sequence=sequence, index=index)

stage[0] = "scrub"
scrub()
cpu["scrub"] = time.process_time()
stage[0] = "forecast"
job = service.submit("forecast", ForecastRequest(
    sequence=sequence, index=15, forecaster="rover-nonlinear", lead_times=LEADS, thresholds=thresholds, score=True,
    compact=True))
for index in range(0, len(sequence), 6):  # the map is moved while the forecast runs
    show(index, sequence=sequence, index=index)
wait(job)
cpu["forecast"] = time.process_time()
stage[0] = "again"
for lead, frame in run.items():
    show(("run", lead), rain_rate=frame, grid=sequence.grid)
scrub(4)
show(35, sequence=sequence, index=35)
last = sequence.native(35)
same = all(np.array_equal(last[row, 3000], kept[35].rain_rate[row, 3000], equal_nan=True) for row in range(0, 3500, 7))
service.close()
print(json.dumps({"own": peak, "together": together, "leads": len(run), "same": same, "error": state.get("error"),
                  "cpu_seconds": dict(cpu)}))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_session_on_a_large_domain_stays_under_one_and_a_half_gigabytes(tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    archive = large_archive.write(tmp_path / "large.h5")
    answer = subprocess.run([sys.executable, "-c", SCRIPT, str(archive), str(LEADS)], capture_output=True, text=True,
                            check=False, cwd=Path(__file__).resolve().parents[2])
    assert answer.returncode == 0, answer.stderr[-2000:]
    result = json.loads(answer.stdout)
    assert (result["error"], result["leads"], result["same"]) == (None, LEADS, True)
    assert max(result["own"].values()) < LIMIT, result
