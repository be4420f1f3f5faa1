"""One line above the maps that says what went wrong and what to do; nothing waits for it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget


class MessageBar(QFrame):
    """Hidden until :meth:`tell`; the newest message replaces the one before."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("messagebar")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setAccessibleName("Message")
        self.action = QPushButton()
        self.close_button = QToolButton()
        self.close_button.setText("×")
        self.close_button.setAutoRaise(True)
        self.close_button.setToolTip("Close this message")
        self.close_button.setAccessibleName("Close this message")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 4, 4)
        row.addWidget(self.text, 1)
        row.addWidget(self.action)
        row.addWidget(self.close_button)
        self._do: Callable[[], object] | None = None
        self.action.clicked.connect(self._act)
        self.close_button.clicked.connect(self.hide)
        self.hide()

    def set_colours(self, background: str, text: str, edge: str) -> None:
        """'#rrggbb' each."""
        self.setStyleSheet(f"#messagebar {{ background: {background}; border: none; border-left: 4px solid {edge}; }}"
                           f"#messagebar QLabel {{ color: {text}; }}")

    def tell(self, sentence: str, advice: str = "", action: str = "", do: Callable[[], object] | None = None) -> None:
        """sentence: what happened. advice: what to do. action: the button's words, for ``do``."""
        self.text.setText(f"{sentence} {advice}".strip())
        self._do = do
        self.action.setText(action)
        self.action.setVisible(do is not None)
        self.show()

    def _act(self) -> None:
        self.hide()
        if self._do is not None:
            self._do()
