"""Everything the window can be told to do: one table for menus, tool bar and keys."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QWidget

SEPARATOR = "-"


@dataclass(frozen=True)
class ActionRow:
    """target: a dotted path from the window to what is called. menu: where it stands ("" in none).
    checkable: the target gets a bool. group: rows of a group exclude each other."""

    key: str
    text: str
    target: str
    menu: str
    keys: tuple[str, ...] = ()
    tip: str = ""
    checkable: bool = False
    group: str = ""
    after_line: bool = False


ACTIONS: tuple[ActionRow, ...] = (
    ActionRow("open", "&Open files…", "opening.files", "File", ("Ctrl+O",), "Open one or several radar files"),
    ActionRow("open-folder", "Open &folder…", "opening.folder", "File", ("Ctrl+Shift+O",),
              "Open a folder of radar files as one archive"),
    ActionRow("open-sample", "Open the &sample", "opening.sample", "File", (),
              "Open the synthetic storm that comes with the program"),
    ActionRow("describe", "&Describe images…", "opening.images", "File", (),
              "Say what a folder of PNG, GIF, PGM or TIFF images means, so that it opens as an archive"),
    ActionRow("events", "E&vents of this file…", "dialogs.events", "File", (),
              "Choose another of the events that the open file holds, by time, place or type"),
    ActionRow("polar", "&Polar data…", "dialogs.polar", "File", (),
              "Product, height and pixel size of maps that are made from polar data"),
    ActionRow("elevation", "E&levation model…", "opening.elevation", "File", (),
              "A GeoTIFF or NetCDF file with heights, for downscalers that read them"),
    ActionRow("export", "&Export…", "dialogs.export", "File", ("E",),
              "Save the maps as picture, animation or forecast file", after_line=True),
    ActionRow("quit", "&Quit", "close", "File", ("Ctrl+Q",), after_line=True),

    ActionRow("contours", "Threshold &contours", "view.set_contours_shown", "View", ("C",),
              "Draw the contours of the thresholds", checkable=True),
    ActionRow("crossed", "Contours of the &other map", "view.set_contours_crossed", "View", ("Shift+C",),
              "Prediction's contours over the observation and the other way round", checkable=True),
    ActionRow("smooth", "S&mooth pictures", "view.set_smooth", "View", (), "Blend neighbouring cells", checkable=True),
    ActionRow("one-map", "&One map", "maps.modes.show_one", "View", ("1",), "The prediction alone; history before it",
              after_line=True),
    ActionRow("two-maps", "&Two maps", "maps.modes.show_two", "View", ("2",), "Observed and predicted side by side"),
    ActionRow("difference", "&Difference", "maps.modes.set_difference", "View", ("D",),
              "Predicted minus observed beside the maps", checkable=True),
    ActionRow("swipe", "&Swipe", "maps.modes.set_swipe", "View", ("S",),
              "One map with a divider to drag", checkable=True),
    ActionRow("blink", "&Blink", "maps.modes.set_blink", "View", ("B",),
              "Observed and predicted in turn", checkable=True),
    ActionRow("before", "Before shar&pening", "maps.modes.set_before", "View", ("U",),
              "A sharpened forecast beside what it was before: maps, swipe, blink and difference", checkable=True),
    ActionRow("measure", "&Measure", "measure.set_active", "View", ("M",),
              "Distance and bearing between two clicks on a map", checkable=True),
    ActionRow("clutter", "Clutter &mask", "clutter.set_on", "View", (),
              "Leave clutter and weak noise out; the mask is found once per archive", checkable=True, after_line=True),
    ActionRow("zoom-in", "Zoom &in", "maps.zoom_in", "View", ("+", "="), after_line=True),
    ActionRow("zoom-out", "Zoom o&ut", "maps.zoom_out", "View", ("-",)),
    ActionRow("reset-view", "&Whole map", "maps.reset_view", "View", ("0",)),
    ActionRow("dark", "&Dark", "view.use_dark", "View", (), group="theme", checkable=True, after_line=True),
    ActionRow("light", "&Light", "view.use_light", "View", (), group="theme", checkable=True),

    ActionRow("play", "&Play or pause", "player.toggle", "Time", ("Space",), "Play or pause the loop"),
    ActionRow("back", "Step &back", "player.back", "Time", ("Left",), "One frame back"),
    ActionRow("forward", "Step &forward", "player.forward", "Time", ("Right",), "One frame ahead"),
    ActionRow("to-reference", "To the &reference time", "player.to_reference", "Time", ("Home",)),
    ActionRow("to-start", "To the f&irst frame", "player.to_start", "Time", ("Ctrl+Home",)),
    ActionRow("to-end", "To the last &lead time", "player.to_end", "Time", ("End",)),
    ActionRow("faster", "F&aster", "player.faster", "Time", ("Up",), after_line=True),
    ActionRow("slower", "&Slower", "player.slower", "Time", ("Down",)),
    ActionRow("loop", "L&oop", "player.set_loop", "Time", ("Ctrl+L",), "Begin again at the end", checkable=True),
    ActionRow("gaps-leave", "Leave &gaps", "gaps.leave", "Time", (), "Missing frames stay missing",
              checkable=True, group="gaps", after_line=True),
    ActionRow("gaps-nearest", "Fill gaps with the &nearest frame", "gaps.fill_nearest", "Time", (),
              "Missing frames repeat the nearest one and are marked", checkable=True, group="gaps"),
    ActionRow("gaps-linear", "Fill gaps by &interpolation", "gaps.fill_linear", "Time", (),
              "Missing frames go evenly from the one before to the one after and are marked",
              checkable=True, group="gaps"),

    ActionRow("run", "&Run the forecast", "session.run_forecast", "Run", ("R",)),
    ActionRow("cancel", "&Cancel", "cancel", "Run", ("Esc",), "Stop what is running; what was computed stays"),
    ActionRow("next-run", "Show the &next forecast", "session.forecasting.show_next", "Run", ("N",)),
    ActionRow("reference-back", "Reference time &back", "reference_back", "Run", ("Shift+Left",), after_line=True),
    ActionRow("reference-forward", "Reference time &ahead", "reference_forward", "Run", ("Shift+Right",)),
    ActionRow("reference-here", "Reference time &here", "reference_here", "Run", ("T",),
              "Start forecasts from the frame on show"),
    ActionRow("training", "&Training…", "dialogs.training", "Run", ("Ctrl+T",),
              "Train networks: begin runs, watch them, use their weights", after_line=True),

    ActionRow("region-rectangle", "&Rectangle on the map", "regions.draw_rectangle", "Verify", ("G",),
              "Draw the rectangle that is scored: drag it, or click two corners", checkable=True),
    ActionRow("region-polygon", "&Polygon on the map", "regions.draw_polygon", "Verify", ("Shift+G",),
              "Draw the polygon that is scored: click its corners, double click ends it", checkable=True),
    ActionRow("region-outline", "&Outline from a file…", "region_desk.choose_outline", "Verify", (),
              "Score a basin or district: GeoJSON, shapefile or KML"),
    ActionRow("region-fields", "Region by &numbers", "region_desk.show_panel", "Verify", (),
              "Place and size of the region as numbers, and pooling"),
    ActionRow("region-remove", "Re&move the region", "regions.remove", "Verify", ("Del",),
              "Score the whole map again", after_line=True),

    ActionRow("show-scores", "&Scores", "panel_keys.show_scores", "Verify", ("Alt+1",),
              "Scores against lead time", after_line=True),
    ActionRow("show-performance", "Performance &diagram", "panel_keys.show_performance", "Verify", ("Alt+2",),
              "Success ratio against probability of detection"),
    ActionRow("show-fractions", "&Fractions skill score", "panel_keys.show_fractions", "Verify", ("Alt+3",),
              "Fractions skill score by scale, threshold and lead time"),
    ActionRow("show-spectrum", "Po&wer spectrum", "panel_keys.show_spectrum", "Verify", ("Alt+4",),
              "Power by wavelength, observed and predicted"),
    ActionRow("show-contingency", "&Hits and misses", "panel_keys.show_contingency", "Verify", ("Alt+5",),
              "Hits, misses and false alarms on the map"),
    ActionRow("show-table", "Score &table", "panel_keys.show_table", "Verify", ("Alt+6",),
              "All scores of all models; Ctrl+C copies them"),

    ActionRow("follow", "&Follow the folder", "following.set_on", "Live", (),
              "New files of the open folder join it as they come", checkable=True),
    ActionRow("look", "&Look for new files", "following.look", "Live", ("F5",)),
    ActionRow("live-forecasts", "Forecast at each &new frame", "live.set_on", "Live", (),
              "The reference time goes along with the newest frame, and a forecast starts there", checkable=True,
              after_line=True),
    ActionRow("learn", "&Learn from new frames", "learning.set_on", "Live", (),
              "The chosen network learns from each new segment of the open archive; its weight file stays as it is",
              checkable=True),
    ActionRow("learn-keep", "&Keep what was learnt…", "keeping.keep", "Live", (),
              "Save it as a weight file of its own; the weights that forecasts begin with stay as they are"),
    ActionRow("learn-reset", "Forget what was &learnt", "learning.reset", "Live", (),
              "Forecasts use the weights of the file again"),

    ActionRow("palette", "&Command palette…", "dialogs.palette", "Help", ("Ctrl+K",), "Find anything by its name"),
    ActionRow("keys", "&Keys…", "dialogs.keys", "Help", ("F1",)),
    ActionRow("about", "&About Stormdeck", "dialogs.about", "Help"),
)

MENUS = ("File", "View", "Time", "Run", "Verify", "Live", "Window", "Help")


def row(key: str) -> ActionRow:
    """Raises KeyError with a suggestion."""
    known = {candidate.key: candidate for candidate in ACTIONS}
    if key not in known:
        close = difflib.get_close_matches(key, known, n=1)
        raise KeyError(f"no action '{key}'" + (f"; did you mean '{close[0]}'?" if close else ""))
    return known[key]


def plain(entry: ActionRow) -> str:
    """The words of an action without marks."""
    return entry.text.replace("&", "").rstrip("…")


def native(key: str) -> str:
    """A key as this system writes it."""
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)


class Actions(dict[str, QAction]):
    """The actions of a window by key. Those that need the window's parts are wired once these exist."""

    def __init__(self, window: QWidget, chosen: Mapping[str, str]) -> None:
        """chosen: keys by action that the user put in the place of the table's; "" takes a key away."""
        super().__init__()
        self._groups: dict[str, QActionGroup] = {}
        for entry in ACTIONS:
            self[entry.key] = self._made(entry, window)
            self.bind(entry.key, chosen.get(entry.key))

    def bind(self, key: str, chosen: str | None) -> None:
        """Another key for an action; "" for none, None for the table's own."""
        entry, action = row(key), self[key]
        keys = entry.keys if chosen is None else (chosen,) if chosen else ()
        action.setShortcuts([QKeySequence(text) for text in keys])
        tip = entry.tip or plain(entry)
        action.setToolTip(f"{tip} ({native(keys[0])})" if keys else tip)

    def owner(self, key: str) -> str | None:
        """The action that a key belongs to."""
        wanted = QKeySequence(key)
        return next((name for name, action in self.items() if wanted in action.shortcuts()), None)

    def __missing__(self, key: str) -> QAction:
        row(key)
        raise KeyError(key)

    def wire(self, window: QWidget) -> None:
        """Connects every action to its target; raises AttributeError where a target does not exist."""
        for entry in ACTIONS:
            target = _resolve(window, entry.target)
            if entry.checkable:
                self[entry.key].toggled.connect(target)
            else:
                self[entry.key].triggered.connect(target)

    def _made(self, entry: ActionRow, window: QWidget) -> QAction:
        action = QAction(entry.text, window)
        action.setObjectName(entry.key)
        action.setCheckable(entry.checkable)
        if entry.group:
            group = self._groups.setdefault(entry.group, QActionGroup(window))
            group.addAction(action)
        window.addAction(action)
        return action


def _resolve(window: Any, target: str) -> Callable[..., Any]:
    for name in target.split("."):
        window = getattr(window, name)
    return window  # type: ignore[no-any-return]
