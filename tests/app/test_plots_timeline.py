"""The scrubber under mouse, wheel and keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.plots.timeline import Timeline, TimelineEntry, TimelineTrack
from app.theme import DARK

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
REFERENCE = 9


def track() -> TimelineTrack:
    history = [TimelineEntry(START + timedelta(minutes=6 * i), "observed", state="gap" if i == 4 else "ready")
               for i in range(10)]
    leads = [TimelineEntry(history[-1].time + timedelta(minutes=6 * k), "lead", 6.0 * k,
                           ("computed", "pending", "failed")[k % 3]) for k in range(1, 11)]
    return TimelineTrack((*history, *leads), REFERENCE)


@pytest.fixture
def timeline(qtbot: QtBot) -> Timeline:
    shown = Timeline()
    qtbot.addWidget(shown)
    shown.resize(600, shown.height())
    shown.set_track(track())
    with qtbot.waitExposed(shown):
        shown.show()
    return shown


def at(shown: Timeline, index: int, y: int = 36) -> QPoint:
    return QPoint(round(shown.x_of(index)), y)


def test_press_and_drag_go_to_the_entry_under_the_mouse(timeline: Timeline) -> None:
    went: list[int] = []
    timeline.moved.connect(went.append)
    QTest.mousePress(timeline, Qt.MouseButton.LeftButton, pos=at(timeline, 3))
    assert went == [3]
    for index in (5, 7, 12):
        QTest.mouseMove(timeline, at(timeline, index))
    QTest.mouseRelease(timeline, Qt.MouseButton.LeftButton, pos=at(timeline, 12))
    assert went[-1] == 12
    assert timeline.position == 12


def test_moves_are_thinned_to_one_per_paint(timeline: Timeline) -> None:
    went: list[int] = []
    timeline.repaint()
    timeline.moved.connect(went.append)
    for index in range(1, 9):
        timeline._go(index)
    assert went == [1]
    timeline.repaint()
    assert went == [1, 8]


def test_every_entry_is_hit_exactly(timeline: Timeline) -> None:
    assert [timeline.index_at(timeline.x_of(i)) for i in range(20)] == list(range(20))
    assert timeline.index_at(-50) == 0
    assert timeline.index_at(9999) == 19


def test_keys_and_wheel_step(timeline: Timeline) -> None:
    for key, expected in ((Qt.Key.Key_End, 19), (Qt.Key.Key_Left, 18), (Qt.Key.Key_Home, REFERENCE),
                          (Qt.Key.Key_Right, REFERENCE + 1)):
        QTest.keyClick(timeline, key)
        assert timeline.position == expected
    place = QPointF(300, 40)
    event = QWheelEvent(place, timeline.mapToGlobal(place), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
                        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(timeline, event)
    assert timeline.position == REFERENCE + 2


def test_set_position_is_silent(timeline: Timeline) -> None:
    went: list[int] = []
    timeline.moved.connect(went.append)
    timeline.set_position(7)
    timeline.set_position(700)
    assert timeline.position == 19
    assert went == []


def test_reference_flag_drops_on_an_observed_frame_never_in_a_gap(qtbot: QtBot, timeline: Timeline) -> None:
    with qtbot.waitSignal(timeline.reference_moved) as caught:
        QTest.mousePress(timeline, Qt.MouseButton.LeftButton, pos=at(timeline, REFERENCE, 14))
        QTest.mouseMove(timeline, at(timeline, 4, 14))
        QTest.mouseRelease(timeline, Qt.MouseButton.LeftButton, pos=at(timeline, 4, 14))
    assert caught.args[0] in (3, 5)
    assert timeline.position == 0


def test_states_look_different(timeline: Timeline) -> None:
    image = timeline.grab().toImage()

    def colour(index: int) -> str:
        return QColor(image.pixel(round(timeline.x_of(index)) + 5, 30)).name()

    assert colour(2) == DARK.faint_text
    assert colour(12) == DARK.accent
    assert colour(11) == DARK.error
    assert colour(10) == DARK.panel


def test_empty_track_takes_clicks_and_keys(timeline: Timeline) -> None:
    timeline.set_track(TimelineTrack())
    timeline.grab()
    QTest.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=QPoint(50, 36))
    QTest.keyClick(timeline, Qt.Key.Key_Right)
    assert timeline.position == 0


def test_volumes_that_begin_some_seconds_late_have_their_times_below(timeline: Timeline) -> None:
    late = [timedelta(seconds=seconds) for seconds in (5, 4, 6, 4, 5, 4, 3, 4)]
    entries = tuple(TimelineEntry(START + timedelta(minutes=5 * i) + more, "observed") for i, more in enumerate(late))
    timeline.set_track(TimelineTrack(entries, 3))
    assert sorted(timeline._label_order(40.0)) == list(range(8))
    assert sorted(timeline._label_order(130.0)) == [0, 2, 3, 4, 6, 7], "every ten minutes, the ends and the reference"
