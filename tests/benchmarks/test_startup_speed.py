"""How soon the window is there: torch is imported behind it, not before it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import json, os, sys, time
began, spent = time.perf_counter(), time.process_time()
if sys.argv[1] == "torch first":
    import torch
from PySide6.QtWidgets import QApplication
application = QApplication([])
from app.settings import Settings
from app.window import MainWindow
def main():
    from pathlib import Path
    window = MainWindow(Settings(Path(sys.argv[2])))
    window.show()
    while not (window.windowHandle() and window.windowHandle().isExposed()):
        application.processEvents()
    application.processEvents()
    answer = {"wall": time.perf_counter() - began, "cpu": time.process_time() - spent, "torch": "torch" in sys.modules}
    window.close()
    return answer
print(json.dumps(main()))
sys.stdout.flush()
os._exit(0)
"""


def start(way: str, settings: Path) -> dict[str, float]:
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    answer = subprocess.run([sys.executable, "-c", PROGRAM, way, str(settings)], cwd=ROOT, env=environment, check=True,
                            capture_output=True, text=True, timeout=110)
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_the_window_does_not_wait_for_torch(record_property: Callable[[str, object], None], tmp_path: Path) -> None:
    ways = {way: [start(way, tmp_path) for _ in range(3)] for way in ("window first", "torch first")}
    best = {way: min(run["cpu"] for run in runs) for way, runs in ways.items()}
    record_property("window_first_cpu_s", best["window first"])
    record_property("torch_first_cpu_s", best["torch first"])
    record_property("window_first_wall_s", min(run["wall"] for run in ways["window first"]))
    assert not any(run["torch"] for run in ways["window first"])
    assert best["torch first"] > 1.8 * best["window first"]
