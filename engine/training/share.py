"""Several processes as one run, started by torchrun: each does its part of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from engine.errors import WrongUsage
from engine.training.data import Share


@contextmanager
def joined(device: str) -> Iterator[tuple[Share, str]]:
    """The part of this process and its device. Alone unless torchrun has started it."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Share(), device
        return
    import torch
    import torch.distributed as together

    if device == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        torch.cuda.set_device(local)
    together.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Share(together.get_rank(), together.get_world_size()), device
    finally:
        together.destroy_process_group()


def shared(module: nn.Module, share: Share) -> Any:
    """The module as it is, or one whose gradients are averaged over all processes."""
    if share.world == 1:
        return module
    from torch.nn.parallel import DistributedDataParallel

    return DistributedDataParallel(module, find_unused_parameters=True)


def check(share: Share, batch: int, parts: int) -> None:
    """Raises WrongUsage where a batch cannot be shared out evenly."""
    if batch % (share.world * parts):
        raise WrongUsage(f"A batch of {batch} cannot be shared by {share.world} processes in {parts} parts each.")
