"""The program as a program: it starts, works and ends with the exit code that it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CLOSE_SOON = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from app.__main__ import main
app = QApplication([])
def close():
    for window in app.topLevelWidgets():
        window.close()
QTimer.singleShot({after}, close)
sys.exit(main([]))
"""


def start(arguments: list[str], folder: Path, timeout: float = 110.0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "STORMDECK_SETTINGS": str(folder),
                   "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True,
                          timeout=timeout, check=False)


def test_version_is_printed(tmp_path: Path) -> None:
    done = start(["-m", "app", "--version"], tmp_path)
    assert (done.returncode, done.stdout.split()[0]) == (0, "Stormdeck")


def test_wrong_usage_is_two(tmp_path: Path) -> None:
    assert start(["-m", "app", "--no-such"], tmp_path).returncode == 2


def test_the_self_check_opens_forecasts_draws_and_ends(tmp_path: Path) -> None:
    done = start(["-m", "app", "--self-check"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_demo_of_what_cannot_be_opened_says_so(tmp_path: Path) -> None:
    done = start(["-m", "app", "--demo", str(tmp_path / "out"), str(tmp_path / "nothing.h5")], tmp_path)
    assert done.returncode == 1
    assert "nothing.h5" in done.stderr


def test_the_window_opens_without_heavy_libraries(tmp_path: Path) -> None:
    script = ("import sys\nfrom pathlib import Path\nfrom PySide6.QtWidgets import QApplication\n"
              "app = QApplication([])\nfrom app.settings import Settings\nfrom app.window import MainWindow\n"
              f"window = MainWindow(Settings(Path({str(tmp_path)!r})))\nwindow.show()\napp.processEvents()\n"
              "heavy = {'torch', 'scipy', 'h5py', 'netCDF4', 'pyproj', 'PIL', 'av', 'contourpy'}\n"
              "assert not heavy & set(sys.modules), heavy & set(sys.modules)\nwindow.close()\n")
    done = start(["-c", f"def main():\n{_indented(script)}\nmain()"], tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("after", [0, 150, 1500])
def test_closing_at_any_moment_ends_with_nought(tmp_path: Path, after: int) -> None:
    done = start(["-c", CLOSE_SOON.format(after=after)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_ten_of_ten_starts_end_with_nought(tmp_path: Path) -> None:
    codes = [start(["-c", CLOSE_SOON.format(after=300 + 200 * i)], tmp_path).returncode for i in range(10)]
    assert codes == [0] * 10


@pytest.mark.slow
def test_the_demo_saves_a_screenshot_and_an_animation(tmp_path: Path) -> None:
    done = start(["-m", "app", "--demo", str(tmp_path / "out")], tmp_path)
    assert done.returncode == 0, done.stderr
    written = [Path(line) for line in done.stdout.splitlines()]
    assert written[0].name == "window.png"
    assert written[1].suffix in (".mp4", ".gif")
    assert all(path.stat().st_size > 10_000 for path in written)


def _indented(script: str) -> str:
    return "\n".join(f"    {line}" for line in script.splitlines())
