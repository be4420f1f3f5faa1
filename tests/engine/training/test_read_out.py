"""How blurred forecasts are read: levels counted by hand, order kept, and the way through the weight file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.networks import weights
from engine.networks.configuration import build
from engine.networks.read_out import MM_H, ReadOut, rising
from engine.radar.scaling import unit_pixel
from engine.radar.units import ZR
from engine.training.read_out import BINS, best_levels, best_read_out
from engine.training.recipe import ModelPart
from engine.training.start import configuration as zoo_configuration

UNITS = tuple(float(unit_pixel(np.array([threshold]), ZR())[0]) for threshold in MM_H)


def unit(rain_rate: float) -> float:
    return float(unit_pixel(np.array([rain_rate]), ZR())[0])


def test_the_level_with_the_highest_csi_by_hand() -> None:
    """300 events were given class 100, 100 class 60; 50 other cells class 100, 400 class 60, the rest nought. At 100:
    300 hits of 400 events and 50 false alarms, 300 / 450; at 60: 400 / 850."""
    counts = torch.zeros(2, 1, 1, BINS, dtype=torch.float64)
    counts[1, 0, 0, 100], counts[1, 0, 0, 60] = 300, 100
    counts[0, 0, 0, 100], counts[0, 0, 0, 60], counts[0, 0, 0, 0] = 50, 400, 10_000
    assert best_levels(counts, (0.9,)).item() == 100 / BINS
    counts[0, 0, 0, 60] = 20  # 400 / 470 is now more than 300 / 450
    assert best_levels(counts, (0.9,)).item() == 60 / BINS
    assert best_levels(counts, (0.2,)).item() == 0.2, "nothing is read as less than it says"


def test_with_few_events_the_level_of_the_lead_before_holds() -> None:
    counts = torch.zeros(2, 4, 1, BINS, dtype=torch.float64)
    counts[1, 0, 0, 80] = 500
    assert best_levels(counts, (0.9,))[:, 0].tolist() == [80 / BINS, 80 / BINS, 80 / BINS, 80 / BINS]
    assert best_levels(torch.zeros(2, 2, 1, BINS, dtype=torch.float64), (0.9,))[:, 0].tolist() == [0.9, 0.9]


def test_a_network_without_skill_is_not_read_as_rain_everywhere() -> None:
    """The same value in every cell: CSI is highest where all of them count as rain."""
    counts = torch.zeros(2, 1, 1, BINS, dtype=torch.float64)
    counts[0, 0, 0, 12], counts[1, 0, 0, 12] = 9000, 1000
    assert best_levels(counts, (0.5,)).item() == 0.5
    counts[0, 0, 0, 12] = 1500
    assert best_levels(counts, (0.5,)).item() == 12 / BINS, "two and a half times as wide is allowed"


def test_a_forecast_at_half_its_value_is_read_as_the_truth() -> None:
    """Truth t forecast as t / 2: each threshold is reached at half its value."""
    draw = torch.Generator().manual_seed(1)
    truth = torch.rand((2, 3, 1, 64, 64), generator=draw) * 0.95
    read_out = best_read_out([(truth / 2, truth, torch.ones_like(truth, dtype=torch.bool))], unit)
    assert read_out is not None
    np.testing.assert_allclose(read_out.levels, np.tile(np.array(UNITS) / 2, (3, 1)), atol=1.5 / BINS)
    read = read_out.read((truth / 2)[0, 1, 0].numpy(), 1)
    within = (truth[0, 1, 0].numpy() > 0.1) & (truth[0, 1, 0].numpy() < UNITS[-1])
    np.testing.assert_allclose(read[within], truth[0, 1, 0].numpy()[within], atol=0.02)


def test_no_data_is_not_counted() -> None:
    truth = torch.full((1, 1, 1, 32, 32), 0.6)
    forecast = torch.full_like(truth, 0.4)
    forecast[..., :16] = 0.3
    valid = torch.ones_like(truth, dtype=torch.bool)
    valid[..., :16] = False
    read_out = best_read_out([(forecast, truth, valid)], unit)
    assert read_out is not None
    at_2mm = read_out.levels[0][MM_H.index(2.0)]
    assert at_2mm == pytest.approx(int(0.4 * BINS) / BINS, abs=2e-3)


def test_reading_keeps_order_nought_and_one() -> None:
    levels = rising(np.array([[0.2, 0.2, 0.3, 0.25, 0.5, 0.5, 0.6, 0.6]]))
    read_out = ReadOut(UNITS, levels)
    values = np.linspace(0, 1, 501, dtype=np.float32)
    read = read_out.read(values, 7)
    assert (np.diff(read) >= 0).all()
    assert read[0] == 0
    assert read[-1] == 1
    assert ((read >= UNITS[3]) == (values >= levels[0][3])).mean() > 0.99


@pytest.mark.parametrize("levels", [(), ((0.1, 0.2),), ((0.5,) * 8,), ((*UNITS[:-1], 1.0),)])
def test_levels_that_do_not_rise_are_refused(levels: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(ValueError, match="read-out"):
        ReadOut(UNITS, levels)


def test_a_weight_file_keeps_its_read_out(tmp_path: Path) -> None:
    configuration = zoo_configuration(ModelPart("ms-convlstm", hidden=4))
    read_out = ReadOut(UNITS, rising(np.tile(np.array(UNITS) * 0.7, (2, 1))))
    header = weights.Header("ms-convlstm", configuration, 5.0, 2.0, read_out=read_out)
    weights.save(tmp_path / "a.safetensors", build(configuration), header)
    assert weights.read_header(tmp_path / "a.safetensors").read_out == read_out
    (tmp_path / "other").touch()
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
