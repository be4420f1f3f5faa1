"""Memory of the whole program on a large archive: the window and the processes that decode for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import large_archive

LIMIT = 1.5e9
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells shared memory apart (/proc/PID/smaps_rollup)")
def test_a_large_archive_is_opened_scrubbed_and_zoomed_under_one_and_a_half_gigabytes(tmp_path: Path) -> None:
    archive = large_archive.write(tmp_path / "large.h5")
    answer = subprocess.run([sys.executable, "-m", "tests.app.large_session", str(archive)], capture_output=True,
                            text=True, check=False, cwd=ROOT)
    assert answer.returncode == 0, answer.stderr[-2000:]
    result = json.loads(answer.stdout)
    assert (result["problems"], result["frames"], tuple(result["shape"])) == ([], 36, large_archive.SHAPE)
    assert result["exact"], "the value under the cursor is the archive's"
    assert result["fine"], "a close view shows every cell"
    most = {stage: own + children for stage, (own, children) in result["peak"].items()}
    assert set(most) >= {"open", "scrub", "cursor", "zoom"}
    assert max(most.values()) < LIMIT, most
