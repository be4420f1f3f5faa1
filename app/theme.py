"""Colours and fonts of the window: neutral greys and one accent, so that radar colours are the only saturated ones."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication


@dataclass(frozen=True)
class Theme:
    """Colours as '#rrggbb'. map is the ground where no rain falls, missing the ground where nothing was measured."""

    name: str
    window: str
    panel: str
    map: str
    missing: str
    text: str
    faint_text: str
    line: str
    accent: str
    warning: str
    error: str
    coast: str
    map_text: str


DARK = Theme("dark", window="#1e2124", panel="#26292d", map="#15181b", missing="#24272b", text="#e4e6e8",
             faint_text="#a2a8ae", line="#43494f", accent="#5aa9e6", warning="#e6a23c", error="#e5605c",
             coast="#b9c0c6", map_text="#e4e6e8")
LIGHT = Theme("light", window="#f1f2f3", panel="#ffffff", map="#f7f8f8", missing="#dddfe1", text="#1d2125",
              faint_text="#5c646b", line="#c3c8cc", accent="#1769aa", warning="#9a5b00", error="#b3261e",
              coast="#4a5258", map_text="#1d2125")

_ROLES = {
    "Window": "window", "Base": "panel", "AlternateBase": "window", "Button": "panel", "ToolTipBase": "panel",
    "WindowText": "text", "Text": "text", "ButtonText": "text", "ToolTipText": "text", "BrightText": "error",
    "PlaceholderText": "faint_text", "Highlight": "accent", "Link": "accent", "Mid": "line", "Dark": "line",
    "Midlight": "panel", "Light": "panel",
}


def apply_theme(app: QApplication, theme: Theme) -> None:
    """Fusion style, palette, 12 px text. May be called again at any time."""
    app.setStyle("Fusion")
    app.setPalette(_palette(theme))
    font = app.font()
    font.setPixelSize(12)
    app.setFont(font)
    app.setStyleSheet(_sheet(theme))


def tabular(font: QFont) -> QFont:
    """The font with figures of one width, for times and scores that must not dance."""
    result = QFont(font)
    result.setFeature(QFont.Tag("tnum"), 1)
    return result


def small_font(base: QFont, pixels: int = 11) -> QFont:
    result = tabular(base)
    result.setPixelSize(pixels)
    return result


def _palette(theme: Theme) -> QPalette:
    palette = QPalette()
    for role, name in _ROLES.items():
        palette.setColor(getattr(QPalette.ColorRole, role), QColor(getattr(theme, name)))
    palette.setColor(QPalette.ColorRole.HighlightedText, QColor(theme.window))
    faint = QColor(theme.faint_text)
    faint.setAlpha(150)
    for role in ("WindowText", "Text", "ButtonText"):
        palette.setColor(QPalette.ColorGroup.Disabled, getattr(QPalette.ColorRole, role), faint)
    return palette


def _sheet(theme: Theme) -> str:
    return (f"QToolTip {{ color: {theme.text}; background: {theme.panel}; border: 1px solid {theme.line}; }}"
            f"QMainWindow::separator {{ background: {theme.window}; width: 6px; height: 6px; }}"
            f"QDockWidget::title {{ padding: 4px 8px; background: {theme.window}; }}"
            f"QMainWindow > QTabBar {{ font-size: 11px; qproperty-elideMode: ElideNone; }}"
            f"QMainWindow > QTabBar::tab {{ padding: 4px 6px; background: {theme.window}; color: {theme.faint_text};"
            f" border-bottom: 2px solid transparent; }}"
            f"QMainWindow > QTabBar::tab:selected {{ color: {theme.text}; border-bottom: 2px solid {theme.accent}; }}"
            f"QStatusBar {{ color: {theme.faint_text}; }}")
