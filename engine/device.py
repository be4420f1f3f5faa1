"""Which torch device a run gets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import WrongUsage

CHOICES = ("auto", "cpu", "cuda", "mps")


def choose(wish: str) -> str:
    """The device for a wish: ``auto`` takes CUDA, then Apple's MPS, then the CPU.

    Raises WrongUsage if the wished device is not there.
    """
    if wish not in CHOICES:
        raise WrongUsage(f"There is no device called '{wish}'. Known: {', '.join(CHOICES)}.")
    if wish == "cpu":
        return wish
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wish == "auto":
        return next((name for name, there in available.items() if there), "cpu")
    if not available[wish]:
        raise WrongUsage(f"This machine offers torch no {wish} device; choose 'auto' or 'cpu'.")
    return wish


def calm_threads() -> None:
    """Idle compute threads sleep instead of spinning, so that others get the cores. Must run before torch is
    imported; what the user has set stays."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")


def leave_a_core_free() -> None:
    """Keeps one core for the window while torch computes on the CPU."""
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside the block torch computes on one thread of the CPU: several round their sums in another order, so that
    results would depend on the machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def preload() -> None:
    """Imports torch now. On Windows its libraries do not load once Qt's are there, so that there the window's program
    calls this first; elsewhere torch is imported behind the open window."""
    import torch  # noqa: F401 - the import is what is wanted
