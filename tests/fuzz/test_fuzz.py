"""Damaged files of every format through the same door that users take: ``make fuzz``, and a few in every test run.

For each file: nothing but UnreadableInput comes out, within 5 s of work, the program's memory stays below 2 GB.
(What runs in the guarded process is bounded by it; what is counted here is this process.)
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from engine.archives import guard, open_archive
from engine.errors import UnreadableInput
from tests.fuzz.damage import damaged
from tests.fuzz.seeds import BUILT, REAL, real

pytestmark = pytest.mark.fuzz
FEW = 30
MANY = int(os.environ.get("FUZZ_COUNT", "2000"))
LIMIT_SECONDS = 5.0
LIMIT_BYTES = 2 * 1024**3
MOST_FRAMES = 12


@dataclass
class Tally:
    """What became of the damaged files."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    longest: float = 0.0
    """Seconds of work of this process; seconds waited for the guarded one too, as the clock has them."""

    def __str__(self) -> str:
        told = ", ".join(f"{name} {count}" for name, count in self.outcomes.most_common())
        return f"{told}; slowest {self.slowest:.1f} s, longest {self.longest:.1f} s, peak {peak_bytes() // 1024**2} MB"


def peak_bytes() -> int:
    """The most memory that this process has held, 0 where the system does not say."""
    if sys.platform != "linux":
        return 0
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.fixture(autouse=True)
def from_now_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """First files get no more time than others."""
    monkeypatch.setattr(guard, "FIRST_SECONDS", 0.0)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # some containers do not allow it; the peak is then that of the whole run
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def outcome(path: Path) -> str:
    """Opens and reads; anything but UnreadableInput comes out of here as it is."""
    try:
        sequence = open_archive(path)
    except UnreadableInput as problem:
        return kind_of(problem, "refused")
    wanted = np.unique(np.linspace(0, len(sequence) - 1, min(len(sequence), MOST_FRAMES)).astype(int))
    for k in wanted:
        try:
            sequence.native(int(k))
        except UnreadableInput as problem:
            return kind_of(problem, "frame refused")
    return "read"


def kind_of(problem: UnreadableInput, usual: str) -> str:
    return next((word for word in ("crashed the decoder", "took longer", "more memory") if word in problem.reason),
                usual)


def fuzz(build: Callable[[Path], Path], folder: Path, count: int, name: str) -> Tally:
    """Damages one file of the archive after the other; a file that does not pass is kept and named."""
    opened = build(folder)
    good = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    assert outcome(opened) == "read", "the good file must be readable"
    draw, tally = random.Random(zlib.crc32(name.encode())), Tally()
    for number in range(count):
        victim = draw.choice(list(good))
        victim.write_bytes(damaged(good[victim], draw))
        worked, waited = time.process_time(), time.monotonic()
        try:
            tally.outcomes[outcome(opened)] += 1
        except BaseException as problem:
            problem.add_note(f"damaged file {number} of {name}: {victim}")
            raise
        worked, waited = time.process_time() - worked, time.monotonic() - waited
        tally.slowest, tally.longest = max(tally.slowest, worked), max(tally.longest, waited)
        assert worked < LIMIT_SECONDS, f"damaged file {number} of {name} kept the program for {worked:.1f} s: {victim}"
        assert peak_bytes() < LIMIT_BYTES, f"damaged file {number} of {name} took too much memory: {victim}"
        victim.write_bytes(good[victim])
    logging.getLogger(__name__).info("%s: %s", name, tally)
    return tally


@pytest.mark.parametrize("name", BUILT)
@pytest.mark.timeout(300)
def test_a_few_damaged_files(tmp_path: Path, name: str) -> None:
    fuzz(BUILT[name], tmp_path, FEW, f"few {name}")


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", BUILT)
def test_many_damaged_files(tmp_path: Path, name: str) -> None:
    tally = fuzz(BUILT[name], tmp_path, MANY, name)
    assert tally.outcomes.total() == MANY


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", REAL)
def test_many_damaged_real_files(tmp_path: Path, real_data: Path, name: str) -> None:
    fuzz(lambda folder: real(folder, real_data, name), tmp_path, MANY, f"real {name}")
