"""How the benchmarks measure: processor time, versions in turns, the best of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any


def cpu_seconds(work: Callable[[], Any]) -> float:
    """All threads of this process together; what other processes do counts little."""
    began = time.process_time()
    work()
    return time.process_time() - began


def best_of(rounds: int, versions: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Seconds of processor time of each. In turns, so that a busy moment of the machine meets all of them."""
    best = dict.fromkeys(versions, float("inf"))
    for _ in range(rounds):
        for name, version in versions.items():
            best[name] = min(best[name], cpu_seconds(version))
    return best
