"""What a person reads in the terminal: every score, nothing cut off at 100 columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine import printing
from engine.radar.scaling import RAIN_CLASSES
from engine.radar.units import ZR
from engine.verification.counts import tally_pair
from engine.verification.seeds import over_seeds
from engine.verification.table import ScoreTable


def document(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    table = ScoreTable(RAIN_CLASSES)
    for lead in (5, 10, 100):
        observed, predicted = (rng.gamma(0.4, 12.0, (40, 50)).astype(np.float32) for _ in range(2))
        table.add(lead, tally_pair(observed, predicted, zr=ZR()))
    return table.to_json()


@pytest.fixture(autouse=True)
def hundred_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def test_verify_shows_every_score_and_its_mean(capsys: pytest.CaptureFixture[str]) -> None:
    scores = document()
    printing.verify(scores | {"forecasters": ["east"], "against": "storm", "forecasts": 2, "zr": {"a": 200, "b": 1.6}})
    shown = capsys.readouterr().out
    for title in ("CSI", "HSS", "POD", "FAR", "Frequency bias", "MSE", "MAE", "B-MSE", "B-MAE", "MAE mm/h"):
        assert title in shown
    for score in ("csi", "hss", "pod", "far", "bias"):
        for value in (scores[score][0][2], scores[score][4][0], scores["mean"][score][1]):
            assert f"{value:.3f}" in shown
    assert f"{scores['b_mae'][2]:,.0f}" in shown
    assert "100 min" in shown
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 100
    line = next(line for line in shown.splitlines() if "HSS" in line)
    assert "CSI" in line, "two tables stand side by side"


def test_a_narrow_terminal_has_them_below_each_other(capsys: pytest.CaptureFixture[str],
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    printing.verify(document())
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 72
    assert not any("HSS" in line and "CSI" in line for line in lines)


def test_undefined_scores_are_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    table = ScoreTable(RAIN_CLASSES)
    table.expect(5)
    printing.verify(table.to_json())
    assert "nan" not in capsys.readouterr().out.lower()


def test_benchmark_shows_every_forecaster_and_the_spread_over_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    def whole(seed: int) -> dict[str, Any]:
        return document(seed) | {"sequences": 7, "coverage": 0.987}

    dice = over_seeds({seed: whole(seed) for seed in (1, 2)})
    printing.benchmark({"protocol": "offline", "outputs": "lead times only", "archives": ["a", "b"],
                        "thresholds_mm_h": list(RAIN_CLASSES),
                        "forecasters": {"rover-nonlinear-eulerian": over_seeds({0: whole(0)}), "dice": dice}})
    shown = capsys.readouterr().out
    assert f"{dice['std']['csi'][0]:.3f}" in shown
    assert shown.count("± over seeds") == 6  # five scores and the errors
    assert "0.987" in shown
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_figures_that_are_not_known_are_dashes_in_any_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """A training run whose validation holds no heavy rain has no CSI there."""
    printing.plain({"scores": {"net": {"csi_mean": [0.5, None]}}, "older": None})
    spoken = capsys.readouterr().out
    assert "0.5 x -" in spoken
