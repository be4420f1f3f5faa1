"""Scores of a region from tiles equal those of its pixels alone; the job and the command line do the same."""

from __future__ import annotations

import json
from dataclasses import astuple, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine import commands
from engine.errors import NotEnoughInput
from engine.export.forecast_file import ForecastWriter
from engine.jobs import verify
from engine.jobs.events import Finished
from engine.jobs.scope import Scope
from engine.jobs.verify import VerifyRequest
from engine.radar.forecast import ForecastHeader
from engine.radar.grid import Grid
from engine.radar.packed import pack
from engine.radar.region import Region
from engine.radar.scaling import RAIN_CLASSES
from engine.radar.units import HKO7, MARSHALL_PALMER
from engine.verification.counts import Tally, tally_pair
from engine.verification.pooling import pool_pair
from engine.verification.tiles import region_tally, select, tile_pair

SHAPE = (67, 93)  # no multiple of the tiles or windows
GRID = Grid.regular(left=0.0, top=67_000.0, dx=1000.0, dy=1000.0, nx=93, ny=67, crs="EPSG:3035")
REGIONS = {
    "whole": Region.rectangle(-1, -1, 1e6, 1e6),
    "rectangle": Region.rectangle(11_200, 9_300, 70_400, 55_100),
    "narrow": Region.rectangle(30_100, 0, 31_100, 90_000),
    "one cell": Region.rectangle(40_100, 20_100, 41_100, 21_100),
    "polygon": Region.polygon([(2e3, 3e3), (90e3, 11e3), (55e3, 35e3), (80e3, 64e3), (20e3, 50e3)]),
    "none": Region.rectangle(2e6, 2e6, 3e6, 3e6),
}


def pair(seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    frames = [rng.gamma(0.3, 8.0, SHAPE).astype(np.float32) for _ in "ab"]
    for frame in frames:
        frame[rng.random(SHAPE) < 0.4] = 0.0
        frame[rng.random(SHAPE) < 0.1] = np.nan
    frames[0][0:3, 0:9] = RAIN_CLASSES[1]  # on the edge of a class
    return frames[0], frames[1]


def whole_way(observed, predicted, mask, pool, thresholds) -> Tally:
    """The comparison of the region's pixels alone, as ``verify`` does it."""
    from engine.radar.scaling import rain_bins

    if pool > 1:
        observed, predicted = pool_pair(observed, predicted, pool, mask)
        mask = None
    return tally_pair(observed, predicted, zr=HKO7, valid=mask, bins=rain_bins(thresholds))


@pytest.mark.parametrize("pool", [1, 2, 4, 16])
@pytest.mark.parametrize("name", REGIONS)
def test_tiles_count_what_the_pixels_say(name: str, pool: int) -> None:
    observed, predicted = pair(pool)
    mask = REGIONS[name].mask(GRID)
    for thresholds in (RAIN_CLASSES, (0.7,), (0.1, 0.11, 3.3, 50.0, 99.0)):
        tiles = tile_pair(observed, predicted, thresholds, zr=HKO7, pool=pool)
        found = region_tally(tiles, select(mask, SHAPE, pool), observed, predicted)
        expected = whole_way(observed, predicted, mask, pool, thresholds)
        for events in ("tp", "fn", "fp", "tn"):
            np.testing.assert_array_equal(getattr(found.contingency(thresholds), events),
                                          getattr(expected.contingency(thresholds), events))
        assert (found.pixels, found.frames) == (expected.pixels, expected.frames)
        np.testing.assert_allclose(astuple(found.sums), astuple(expected.sums), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("pool", [1, 4])
def test_no_region_is_the_whole_grid(pool: int) -> None:
    observed, predicted = pair(3)
    tiles = tile_pair(observed, predicted, RAIN_CLASSES, zr=HKO7, pool=pool)
    found = region_tally(tiles, select(None, SHAPE, pool), observed, predicted)
    expected = whole_way(observed, predicted, None, pool, RAIN_CLASSES)
    assert found.pixels == expected.pixels
    np.testing.assert_array_equal(found.contingency().tp, expected.contingency().tp)
    np.testing.assert_allclose(astuple(found.sums), astuple(expected.sums), rtol=1e-9)


@pytest.mark.parametrize("pool", [1, 4])
def test_packed_frames_give_the_same(pool: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.verification.tiles._STRIP_PIXELS", 2000)  # several strips
    observed, predicted = pair(5)
    mask = REGIONS["polygon"].mask(GRID)
    selection = select(mask, SHAPE, pool)
    plain = tile_pair(observed, predicted, RAIN_CLASSES, zr=HKO7, pool=pool)
    small = tile_pair(pack(observed), pack(predicted), RAIN_CLASSES, zr=HKO7, pool=pool)
    np.testing.assert_array_equal(plain.classes, small.classes)
    found = region_tally(small, selection, pack(observed), pack(predicted))
    expected = whole_way(observed, predicted, mask, pool, RAIN_CLASSES)
    np.testing.assert_array_equal(found.contingency().fp, expected.contingency().fp)
    np.testing.assert_allclose(astuple(found.sums), astuple(expected.sums), rtol=1e-9)


def test_a_region_scored_by_hand() -> None:
    observed = np.array([[0, 1, 1], [3, 0, np.nan], [9, 9, 9]], np.float32)
    predicted = np.array([[1, 1, 0], [3, 0, 9], [0, 0, 0]], np.float32)
    mask = np.array([[1, 1, 1], [1, 1, 1], [0, 0, 0]], bool)
    tiles = tile_pair(observed, predicted, (0.5, 2.0), zr=HKO7)
    table = region_tally(tiles, select(mask, (3, 3)), observed, predicted).contingency((0.5, 2.0))
    assert [values.tolist() for values in (table.tp, table.fn, table.fp, table.tn)] == [[2, 1], [1, 0], [1, 0], [1, 4]]


def test_frames_that_do_not_match_and_too_many_thresholds_are_refused() -> None:
    observed, predicted = pair(1)
    with pytest.raises(ValueError, match="cannot be compared"):
        tile_pair(observed, predicted[:5], RAIN_CLASSES, zr=HKO7)
    with pytest.raises(ValueError, match="at most 14"):
        tile_pair(observed, predicted, tuple(float(n) for n in range(1, 16)), zr=HKO7)


# -- verify

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def archive(tmp_path: Path) -> tuple[Path, Path]:
    """A forecast and what was observed, both as forecast files, which are archives too."""
    header = ForecastHeader(grid=GRID, zr=MARSHALL_PALMER, reference_time=START, step_minutes=5.0, forecaster="test")
    files = tmp_path / "observed.nc", tmp_path / "forecast.nc"
    for place, path in enumerate(files):
        with ForecastWriter(path, replace(header, forecaster=("truth", "test")[place])) as writer:
            for lead in (5.0, 10.0):
                writer.write(lead, pair(int(lead))[place])
    return files


@pytest.mark.parametrize("pool", [1, 4])
def test_verify_scores_the_region_only(archive: tuple[Path, Path], pool: int) -> None:
    observed, forecast = archive
    region = REGIONS["polygon"]
    request = VerifyRequest((forecast,), (observed,), pool=pool, region=region)
    done = next(event for event in verify.run(request, Scope()) if isinstance(event, Finished)).result
    mask = region.mask(GRID)
    assert done["region"] == {"kind": "polygon", "name": "", "cells": int(mask.sum()),
                              "share": pytest.approx(mask.mean())}
    for column, lead in enumerate((5, 10)):
        truth, predicted = pair(lead)
        if pool > 1:
            truth, predicted = pool_pair(truth, predicted, pool, mask)
            expected = tally_pair(truth, predicted, zr=MARSHALL_PALMER)
        else:
            expected = tally_pair(truth, predicted, zr=MARSHALL_PALMER, valid=mask)
        for name in ("tp", "fn", "fp", "tn"):
            assert [row[column] for row in done["counts"][name]] == getattr(expected.contingency(), name).tolist()
        assert done["mse_mm_h"][column] == pytest.approx(expected.sums.squared_mm_h / expected.pixels, rel=1e-9)


def test_verify_names_its_region_on_the_command_line(archive: tuple[Path, Path], tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    observed, forecast = archive
    lon, lat = GRID.lonlat(np.array([20e3, 80e3]), np.array([10e3, 60e3]))
    corners = [[float(lon[i]), float(lat[j])] for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
    (tmp_path / "basin.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [corners]}))
    base = ["verify", str(forecast), "--against", str(observed), "--json"]
    box = f"{lon[0]},{lat[0]},{lon[1]},{lat[1]}"
    answers = {}
    file = str(tmp_path / "basin.geojson")
    for name, options in (("all", []), ("box", ["--box", box]), ("file", ["--region", file])):
        assert commands.run([*base, *options]) == 0
        answers[name] = json.loads(capsys.readouterr().out)
    assert answers["all"]["region"] is None
    assert answers["file"]["region"]["name"] == "basin"
    assert answers["box"]["region"]["kind"] == "rectangle"
    assert answers["box"]["counts"] == answers["file"]["counts"] != answers["all"]["counts"]
    assert 0 < answers["box"]["pixels"][0] < answers["all"]["pixels"][0]


@pytest.mark.parametrize(("options", "code", "words"), [
    (["--box", "120,10,121,11"], 4, "holds no cell"), (["--box", "5,53,4,52"], 2, "south below the north"),
    (["--box", "1,2,3"], 2, "W,S,E,N"), (["--region", "nowhere.geojson"], 3, "no such file"),
    (["--box", "1,2,3,4", "--region", "a"], 2, "either --region or --box"),
])
def test_regions_that_make_no_sense_end_with_the_contracts_code(archive: tuple[Path, Path], options: list[str],
                                                                code: int, words: str, capsys) -> None:
    observed, forecast = archive
    assert commands.run(["verify", str(forecast), "--against", str(observed), *options]) == code
    assert words in " ".join(capsys.readouterr().err.split())


def test_an_archive_without_projection_has_no_place_for_degrees() -> None:
    from engine.radar.sequence import FrameRef, Layout, RadarSequence
    from engine.radar.units import Quantity

    layout = Layout("test", "rain", Quantity.RAIN_RATE, "mm/h", Grid(GRID.x, GRID.y))
    bare = RadarSequence(layout, (FrameRef(START, Path("a")),), lambda ref, _: pair(1)[0], name="bare")
    with pytest.raises(NotEnoughInput, match="bare: The archive says nothing about where it lies"):
        verify.mask_on(Region.box(4, 52, 5, 53), bare)
    assert verify.mask_on(REGIONS["rectangle"], bare).any()
