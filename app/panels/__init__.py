"""The panels around the maps, as rows of a table; the window makes its docks and its Window menu from it."""

from __future__ import annotations

from dataclasses import dataclass

LEFT, RIGHT, BOTTOM = "left", "right", "bottom"


@dataclass(frozen=True)
class PanelRow:
    """target: "module:class"; the class is built with a :class:`app.context.Context`. shown: at the first start.
    behind: the panel whose tab it stands beside; it is built when it is first seen."""

    key: str
    title: str
    target: str
    area: str
    shown: bool = True
    behind: str = ""


PANELS: tuple[PanelRow, ...] = (
    PanelRow("archive", "Archive", "app.panels.archive:ArchivePanel", LEFT),
    PanelRow("run", "Run", "app.panels.run:RunPanel", LEFT),
    PanelRow("scores", "Scores", "app.panels.scores:ScoresPanel", RIGHT),
    PanelRow("performance", "Diagram", "app.panels.performance:PerformancePanel", RIGHT, behind="scores"),
    PanelRow("fractions", "FSS", "app.panels.fractions:FractionsPanel", RIGHT, behind="scores"),
    PanelRow("spectrum", "Spectrum", "app.panels.spectrum:SpectrumPanel", RIGHT, behind="scores"),
    PanelRow("contingency", "Hits", "app.panels.contingency:ContingencyPanel", RIGHT, behind="scores"),
    PanelRow("score-table", "Table", "app.panels.score_table:ScoreTablePanel", RIGHT, behind="scores"),
    PanelRow("thresholds", "Thresholds", "app.panels.thresholds:ThresholdsPanel", RIGHT),
    PanelRow("region", "Region", "app.panels.region:RegionPanel", RIGHT),
    PanelRow("timeline", "Time", "app.panels.timeline:TimelinePanel", BOTTOM),
    PanelRow("log", "Log", "app.panels.log:LogPanel", BOTTOM, shown=False),
)
