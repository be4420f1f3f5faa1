"""What happens once the window is on screen: warm the engine up, ask for its models, open and forecast."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

import resources
from app.context import Context
from engine.jobs.events import Event, Finished


class Startup(QObject):
    """Nothing heavy is imported before :meth:`begin`'s work starts, after the first paint."""

    began = Signal()
    device_known = Signal(str)
    models_known = Signal(list)

    def __init__(self, context: Context, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._paths: tuple[Path, ...] = ()
        self._forecast_wanted = False

    def begin(self, paths: Sequence[Path]) -> None:
        """Opens the paths, or the sample with a forecast where there are none; returns at once."""
        self._paths = tuple(paths)
        QTimer.singleShot(0, self._begin)

    def _begin(self) -> None:
        session = self._context.session
        if self._paths:
            session.open(self._paths)
        else:
            self.open_sample_and_forecast()
        from engine.jobs.warm_up import WarmUpRequest

        self.ask_for_models()
        self.began.emit()
        self._context.bridge.submit("warm-up", WarmUpRequest(), self._on_warm, priority=20)

    def ask_for_models(self) -> None:
        """Which networks have weights; again after some were taken into use."""
        from engine.jobs.models import ModelsRequest

        self._context.bridge.submit("models", ModelsRequest(), self._on_models)

    def open_sample_and_forecast(self) -> None:
        try:
            sample = resources.sample_archive()
        except FileNotFoundError:
            return
        self.forecast_when_open()
        self._context.session.open([sample])

    def forecast_when_open(self) -> None:
        """Runs a forecast as soon as the archive that is being opened is there."""
        self._forecast_wanted = True
        self._context.session.opening_ended.connect(self._on_opened)

    def _on_opened(self, done: bool) -> None:
        self._context.session.opening_ended.disconnect(self._on_opened)
        if done and self._forecast_wanted:
            self._context.session.run_forecast()
        self._forecast_wanted = False

    def _on_warm(self, job: int, event: Event) -> None:
        if isinstance(event, Finished):
            self.device_known.emit(str(event.result["device"]))

    def _on_models(self, job: int, event: Event) -> None:
        if isinstance(event, Finished):
            self.models_known.emit(event.result["models"])
