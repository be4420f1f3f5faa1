"""Playing: order, loop, end, speed, and no step before the last frame was painted. Time is a number here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app import player as module
from app.bridge import EngineBridge
from app.player import DWELL_S, PATIENCE_S, Player
from app.session import Session
from app.settings import Settings
from tests.app.storms import tiny_sequence


class Hands:
    """A player whose clock stands still until :meth:`after`."""

    def __init__(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)
        self.session, self.player = session, Player(session)
        self.shown: list[int] = []
        session.position_changed.connect(self.shown.append)

    def after(self, seconds: float, painted: bool = True) -> None:
        if painted:
            self.player.frame_painted()
        self.now += seconds
        self.player._tick()


@pytest.fixture
def hands(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hands]:
    settings = Settings(tmp_path)
    settings.values.lead_times, settings.values.speed = 4, 10
    bridge = EngineBridge()
    session = Session(bridge, settings)
    session.set_sequence(tiny_sequence(12))
    made = Hands(session, monkeypatch)
    yield made
    made.player.pause()
    assert bridge.close()


def test_every_frame_is_shown_in_order_and_the_loop_dwells_at_its_end(hands: Hands) -> None:
    last = len(hands.session.places) - 1
    hands.session.set_position(last - 3)
    hands.shown.clear()
    hands.player.play()
    for _ in range(3):
        hands.after(0.1001)
    assert hands.shown == [last - 2, last - 1, last]
    hands.after(0.1001)
    assert hands.shown[-1] == last
    hands.after(DWELL_S)
    assert hands.shown[-1] == 0


def test_no_step_before_the_frame_was_painted(hands: Hands) -> None:
    hands.session.set_position(0)
    hands.player.play()
    hands.after(0.11)
    hands.after(0.5, painted=False)
    assert hands.session.position == 1
    hands.after(0.01)
    assert hands.session.position == 2


def test_a_window_that_is_never_painted_does_not_stop_the_loop(hands: Hands) -> None:
    hands.session.set_position(0)
    hands.player.play()
    hands.after(0.11)
    hands.after(PATIENCE_S + 0.01, painted=False)
    assert hands.session.position == 2


def test_small_delays_do_not_add_up(hands: Hands) -> None:
    """Ten frames at 10 a second with ticks that come 30 ms late take a second and not 1.3."""
    hands.session.set_position(0)
    hands.player.play()
    began = hands.now
    while hands.session.position < 8:
        hands.after(0.03)
    assert hands.now - began == pytest.approx(0.8, abs=0.04)


def test_without_loop_it_stops_at_the_last_lead_time(hands: Hands) -> None:
    hands.player.set_loop(False)
    hands.session.set_position(len(hands.session.places) - 2)
    hands.player.play()
    hands.after(0.11)
    hands.after(DWELL_S + 0.2)
    assert not hands.player.playing
    assert hands.session.position == len(hands.session.places) - 1
    hands.player.play()
    assert hands.session.position == 0


def test_steps_pause_and_stay_inside(hands: Hands) -> None:
    hands.player.play()
    hands.player.forward()
    assert not hands.player.playing
    hands.player.to_start()
    hands.player.back()
    assert hands.session.position == 0
    hands.player.to_end()
    hands.player.forward()
    assert hands.session.position == len(hands.session.places) - 1
    hands.player.to_reference()
    assert hands.session.position == hands.session.reference_position


def test_speed_stays_within_its_limits(hands: Hands) -> None:
    speeds: list[int] = []
    hands.player.speed_changed.connect(speeds.append)
    for _ in range(30):
        hands.player.faster()
    for _ in range(40):
        hands.player.slower()
    assert (max(speeds), min(speeds), speeds[-1]) == (30, 1, 1)


def test_an_empty_session_does_not_play(qtbot: QtBot, tmp_path: Path) -> None:
    bridge = EngineBridge()
    player = Player(Session(bridge, Settings(tmp_path)))
    player.toggle()
    player.forward()
    assert not player.playing
    assert bridge.close()
