"""Import torch while the user is still looking around, so that the first forecast starts at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine import device
from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope


@dataclass(frozen=True)
class WarmUpRequest:
    device: str = "auto"
    keep_a_core_free: bool = True


def run(request: WarmUpRequest, scope: Scope) -> Iterator[Event]:
    """Yields Finished with the device that ``auto`` stands for on this machine."""
    scope.progress(0.0, "starting the engine")
    if request.keep_a_core_free:
        device.leave_a_core_free()
    yield Finished({"device": device.choose(request.device)})
