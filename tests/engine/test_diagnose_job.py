"""Neighbourhoods, spectra, similarity as jobs; the map of hits and misses; whole files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.cancel import CancelToken
from engine.display.contingency import (
    COLOURS,
    CORRECT_NEGATIVE,
    FALSE_ALARM,
    HIT,
    MISS,
    EventCounts,
    contingency_bins,
    contingency_colours,
    contingency_picture,
    count_kinds,
)
from engine.errors import Cancelled, UnwritableOutput, WrongUsage
from engine.jobs import contingency, diagnose, save
from engine.jobs.contingency import ContingencyReady, ContingencyRequest
from engine.jobs.diagnosis import FRACTIONS, SIMILARITY, SPECTRUM, Diagnosed, DiagnoseRequest
from engine.jobs.scope import Scope
from engine.radar.grid import Grid
from engine.radar.scaling import NO_DATA, unit_pixel
from engine.radar.sequence import Field, FrameRef, Layout, RadarSequence
from engine.radar.units import Quantity
from engine.verification.images import ssim
from engine.verification.neighbourhood import fraction_table, fractions
from engine.verification.spectrum import effective_resolution_km, power_spectrum

NAN = float("nan")


def noise(seed: int, shape: tuple[int, int] = (48, 64)) -> Field:
    return np.random.default_rng(seed).gamma(0.3, 4.0, shape).astype(np.float32)


def sequence_of(*frames: Field, pixel_km: float = 2.0) -> RadarSequence:
    ny, nx = frames[0].shape
    grid = Grid.regular(left=0, top=0, dx=1000 * pixel_km, dy=1000 * pixel_km, nx=nx, ny=ny, crs="EPSG:3035")
    layout = Layout("test", "RATE", Quantity.RAIN_RATE, "mm/h", grid)
    start = datetime(2020, 1, 1, tzinfo=UTC)
    refs = tuple(FrameRef(start + i * timedelta(minutes=5), Path(f"{i}"), i) for i in range(len(frames)))
    return RadarSequence(layout, refs, lambda ref, _: frames[int(ref.key)], name="test")


def result(request: DiagnoseRequest) -> Any:
    answer = next(diagnose.run(request, Scope()))
    assert isinstance(answer, Diagnosed)
    assert answer.name == request.name
    return answer.result


# -- neighbourhoods

@pytest.mark.parametrize("shape", [(40, 64), (31, 17)])
@pytest.mark.parametrize("masked", [False, True])
def test_the_fast_table_is_the_score_of_each_cell(shape: tuple[int, int], masked: bool) -> None:
    observed, predicted = noise(1, shape), noise(2, shape)
    observed[np.random.default_rng(3).random(shape) < 0.1] = NAN
    predicted[:3] = NAN
    valid = np.random.default_rng(4).random(shape) > 0.2 if masked else None
    thresholds, sides = (0.5, 3.0, 25.0, 1e4), (1, 3, 9, 33, 65)
    table = fraction_table(observed, predicted, thresholds, sides, valid)
    for row, side in zip(table, sides, strict=True):
        for found, threshold in zip(row, thresholds, strict=True):
            slow = fractions(observed, predicted, threshold, side, valid)
            assert found.squared_difference == pytest.approx(slow.squared_difference, rel=1e-12, abs=1e-12)
            assert found.squared_sum == pytest.approx(slow.squared_sum, rel=1e-12, abs=1e-12)


def test_a_rain_cell_beside_itself_by_hand() -> None:
    """Two events three columns apart: fractions of 1/9 that do not overlap in squares of 3, and do in those of 7."""
    observed, predicted = np.zeros((21, 21), np.float32), np.zeros((21, 21), np.float32)
    observed[10, 8], predicted[10, 11] = 5.0, 5.0
    [[small], [large]] = fraction_table(observed, predicted, (1.0,), (3, 7))
    assert small.score == 0.0
    assert large.score == pytest.approx(1 - (2 * 7 * 3) / (2 * 49))  # 7 rows of 3 columns on each side differ


def test_even_sides_are_refused() -> None:
    with pytest.raises(ValueError, match="odd"):
        fraction_table(noise(1), noise(2), (1.0,), (1, 2))


def test_fractions_come_with_their_scales_in_km_and_the_useful_score() -> None:
    observed = np.zeros((48, 64), np.float32)
    observed[:24] = 3.0
    got = result(DiagnoseRequest("x", FRACTIONS, sequence_of(observed), 0, (observed,), (1.0, 10.0), (1, 5)))
    assert got.score == ((1.0, None), (1.0, None))
    assert got.side_km == (2.0, 10.0)
    assert got.useful == (0.75, 0.5)


# -- spectra, similarity

def test_spectra_are_taken_over_the_cells_that_all_forecasts_have() -> None:
    truth, first, second = noise(5), noise(6), noise(7)
    second[:, :20] = NAN
    got = result(DiagnoseRequest("x", SPECTRUM, sequence_of(truth), 0, (first, second)))
    valid = np.isfinite(second)
    expected = power_spectrum(truth, (2.0, 2.0), valid)
    assert got.wavelength_km == pytest.approx(expected.wavelength_km)
    assert got.observed == pytest.approx(10 * np.log10(expected.power))
    assert got.predicted[0] == pytest.approx(10 * np.log10(power_spectrum(first, (2.0, 2.0), valid).power))
    assert got.resolution_km[0] == effective_resolution_km(power_spectrum(first, (2.0, 2.0), valid), expected)


def test_a_forecast_without_rain_has_no_power_and_resolves_nothing() -> None:
    got = result(DiagnoseRequest("x", SPECTRUM, sequence_of(noise(5)), 0, (np.zeros((48, 64), np.float32),)))
    assert set(got.predicted[0]) == {None}
    assert got.resolution_km == (None,)


def test_similarity_is_that_of_the_unit_pixels() -> None:
    truth, forecast = noise(5), noise(6)
    sequence = sequence_of(truth)
    got = result(DiagnoseRequest("x", SIMILARITY, sequence, 0, (forecast,)))
    assert got["ssim"] == pytest.approx(ssim(unit_pixel(truth, sequence.zr), unit_pixel(forecast, sequence.zr)))
    assert result(DiagnoseRequest("x", SIMILARITY, sequence, 0, (truth,)))["psnr"] is None  # infinite


def test_unknown_wishes_and_cancelling() -> None:
    request = DiagnoseRequest("x", "colour", sequence_of(noise(5)), 0, (noise(6),))
    with pytest.raises(WrongUsage, match="fractions"):
        next(diagnose.run(request, Scope()))
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        next(diagnose.run(DiagnoseRequest("x", FRACTIONS, sequence_of(noise(5)), 0, (noise(6),)), Scope(token)))


# -- the map of hits and misses

def test_kinds_of_cells_by_hand() -> None:
    observed = np.array([[2.0, 2.0, 0.0, 0.0], [1.0, NAN, 5.0, 0.5]], np.float32)
    predicted = np.array([[2.0, 0.0, 2.0, 0.0], [0.9, 3.0, NAN, 9.0]], np.float32)
    bins = contingency_bins(observed, predicted, 1.0)
    assert bins.tolist() == [[HIT, MISS, FALSE_ALARM, CORRECT_NEGATIVE], [MISS, NO_DATA, NO_DATA, FALSE_ALARM]]
    counts = count_kinds(bins)
    assert counts == EventCounts(1, 2, 2, 1)
    assert counts.shares() == pytest.approx((1 / 6, 2 / 6, 2 / 6, 1 / 6))
    outside = contingency_bins(observed, predicted, 1.0, np.zeros((2, 4), np.bool_))
    assert (outside == NO_DATA).all()
    assert count_kinds(outside).shares() == (0.0, 0.0, 0.0, 0.0)


def test_a_cell_of_each_kind_has_its_colour_and_no_data_is_no_correct_negative() -> None:
    grid = Grid.regular(left=0, top=0, dx=1, dy=1, nx=5, ny=2)
    bins = np.array([[HIT, MISS, FALSE_ALARM, CORRECT_NEGATIVE, NO_DATA]] * 2, np.uint8)
    colours = contingency_colours(0x101010, 0x202020, dark=True)
    image = contingency_picture(bins, grid, colours, bins.astype(np.float32)).image
    assert [hex(value) for value in image[0]] == [hex(0xFF000000 | COLOURS[kind][0]) for kind in
                                                  (HIT, MISS, FALSE_ALARM)] + ["0xff101010", "0xff202020"]


def test_windows_are_drawn_over_the_cells_that_they_hold() -> None:
    observed, predicted = np.zeros((6, 10), np.float32), np.zeros((6, 10), np.float32)
    observed[1, 1], predicted[3, 3] = 4.0, 4.0
    request = ContingencyRequest("m", predicted, sequence_of(observed), 0, 1.0, np.arange(256, dtype=np.uint32), pool=4)
    event = next(contingency.run(request, Scope()))
    assert isinstance(event, ContingencyReady)
    assert event.picture.bins.shape == (6, 10)
    assert (event.picture.bins[:4, :4] == HIT).all()
    assert (event.picture.bins[4:] == CORRECT_NEGATIVE).all()
    assert event.counts == EventCounts(1, 0, 0, 5)


# what the three kinds of colour blindness make of linear RGB (Machado, Oliveira and Fernandes 2009, severity 1)
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                            [0.004733, 0.691367, 0.303900]]),
}


def lab(colour: int, blindness: str) -> np.ndarray[Any, Any]:
    """CIE L*a*b* of an sRGB colour as an eye of that kind sees it."""
    rgb = np.array([colour >> 16 & 255, colour >> 8 & 255, colour & 255]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(BLINDNESS[blindness] @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    ratio = xyz / np.array([0.9505, 1.0, 1.089])
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize(("ground", "number"), [(0x15181B, 0), (0xF7F8F8, 1)])
def test_hits_misses_and_false_alarms_stay_apart_under_colour_blindness(blindness: str, ground: int,
                                                                         number: int) -> None:
    shown = [lab(pair[number], blindness) for pair in COLOURS.values()] + [lab(ground, blindness)]
    apart = [float(np.linalg.norm(a - b)) for i, a in enumerate(shown) for b in shown[:i]]
    assert min(apart) > 20  # about ten times what an eye just tells apart


# -- whole files

def test_a_panel_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    output = tmp_path / "scores.csv"
    list(save.run(save.SaveRequest(output, b"first"), Scope()))
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        list(save.run(save.SaveRequest(output, b"second"), Scope(token)))
    assert output.read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]
    with pytest.raises(UnwritableOutput):
        list(save.run(save.SaveRequest(tmp_path / "none" / "x.csv", b""), Scope()))
