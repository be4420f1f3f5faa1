"""Learning from the frames of a live archive: the chosen network takes a step after each new segment, in the
background; forecasts use what it has learnt and say so. It stays in memory; another archive begins anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.bridge import EngineBridge
from app.session import Session
from app.settings import Settings
from engine import catalogue
from engine.jobs.events import TERMINAL, Event, Failed

if TYPE_CHECKING:
    from engine.jobs.learn import Learner


@dataclass(frozen=True)
class Learnt:
    """How a forecaster's learning stands. network: to forecast with, None as long as nothing was learnt. waiting: new
    frames until the next step, -1 where it has not begun. note: why it does not learn. able: whether it can at all."""

    learner: Learner | None = None
    network: Any = None
    learned: int = 0
    rolled_back: int = 0
    waiting: int = -1
    note: str = ""
    able: bool = True


NOTHING = Learnt()


@dataclass(frozen=True, eq=False)
class Keepable:
    """What a network has learnt, and from what. until: the newest frame of it."""

    forecaster: str
    learner: Learner
    learnt: Learnt
    archive: str
    until: datetime


class Learning(QObject):
    """changed: switched on or off, a step was taken, or another forecaster is chosen. left: what had been learnt and
    not been saved when it was forgotten, or another archive or other weights came. busy: whether it learns now."""

    changed = Signal()
    left = Signal(object)

    def __init__(self, session: Session, bridge: EngineBridge, settings: Settings,
                 parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._bridge, self._settings = session, bridge, settings
        self._learnt: dict[str, Learnt] = {}
        self._unsaved: dict[str, Keepable] = {}
        self._job = 0
        self._again = False
        session.archive_changed.connect(self.reset)
        session.frames_added.connect(self.look)

    @property
    def on(self) -> bool:
        return self._settings.values.learn

    @property
    def busy(self) -> bool:
        return self._job != 0

    def set_on(self, on: bool) -> None:
        if on != self.on:
            self._settings.values.learn = on
            self.look()
            self.changed.emit()

    def of(self, forecaster: str) -> Learnt:
        return self._learnt.get(forecaster, NOTHING)

    def network(self, forecaster: str) -> Any:
        """To forecast with instead of the weight file; None where nothing was learnt or it is switched off."""
        return self.of(forecaster).network if self.on else None

    def reset(self) -> None:
        """Forgets what was learnt; what is being learnt now too. What was in memory only is handed out once more."""
        left = self.unsaved()
        self._bridge.cancel(self._job)
        self._job, self._again = 0, False
        self._learnt.clear()
        self._unsaved.clear()
        self.look()
        self.changed.emit()
        if left:
            self.left.emit(left)

    def forget(self, forecaster: str) -> None:
        """Its weight file is another one now."""
        if forecaster in self._learnt:
            self.reset()

    def unsaved(self) -> tuple[Keepable, ...]:
        """What is in memory only."""
        return tuple(self._unsaved.values())

    def mark_saved(self, one: Keepable) -> None:
        if self._unsaved.get(one.forecaster) is one:
            del self._unsaved[one.forecaster]
            self.changed.emit()

    def look(self) -> None:
        """Learns if there is something new for the chosen forecaster."""
        from engine.jobs.learn import LearnRequest

        name, sequence = self._settings.values.forecaster, self._session.sequence
        if not self.on or sequence is None or not name or not catalogue.row("forecaster", name).parameters \
                or not self.of(name).able:
            return
        if self._job:
            self._again = True
            return
        request = LearnRequest(sequence, name, self.of(name).learner, self._settings.values.device)
        self._job = self._bridge.submit("learn", request, self._on_event, key="learn")

    def words(self, forecaster: str) -> str:
        """A line on how it stands; empty where it is switched off."""
        if not self.on or not forecaster:
            return ""
        found, row = self.of(forecaster), catalogue.row("forecaster", forecaster)
        if not row.parameters or not found.able:
            return "does not learn from new frames"
        if self.busy and found.waiting == 0:
            return "learning…"
        counts = f"learned {_times(found.learned)}, {found.rolled_back} rolled back" \
            if found.learned or found.rolled_back else "nothing learned yet"
        wait = f"; next after {found.waiting} new frame{'s' if found.waiting != 1 else ''}" if found.waiting > 0 else ""
        return ("online-adapted: " if found.network is not None else "") + counts + (f"; {found.note}" if found.note
                                                                                     else wait)

    def _keep_in_mind(self, forecaster: str, learnt: Learnt) -> None:
        """That there is something new to save, if the last step was kept."""
        sequence = self._session.sequence
        if learnt.network is None or learnt.network is self.of(forecaster).network:
            return
        assert learnt.learner is not None
        assert sequence is not None
        self._unsaved[forecaster] = Keepable(forecaster, learnt.learner, learnt, sequence.name,
                                             learnt.learner.newest or sequence.times[-1])

    def _on_event(self, job: int, event: Event) -> None:
        from engine.jobs.learn import Learned

        if job != self._job:
            return
        if isinstance(event, Learned):
            learnt = Learnt(event.learner, event.network, event.learned, event.rolled_back, event.waiting, event.note)
            self._keep_in_mind(event.forecaster, learnt)
            self._learnt[event.forecaster] = learnt
            self.changed.emit()
        elif isinstance(event, TERMINAL):
            self._job = 0
            if isinstance(event, Failed):
                name = self._settings.values.forecaster
                self._learnt[name] = Learnt(note=str(event.error), able=False)
            self.changed.emit()
            if self._again:
                self._again = False
                self.look()


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
