"""HKO-7: folders in the benchmark's layout, its pixel law, its masks."""

from __future__ import annotations

import pickle
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from pyproj import Geod

from engine.archives import image_folder, npz_tools, open_archive
from engine.archives.description_file import write_description
from engine.errors import UnreadableInput
from engine.radar.units import NO_ECHO_DBZ
from tests.engine.image_builders import NOON, hko7, picture

SIX = timedelta(minutes=6)


def archive(folder: Path, count: int = 3) -> Path:
    """Frame k: pixel 0 everywhere but the first rows; masked in the last row."""
    frame = np.zeros((480, 480), np.uint8)
    frame[0] = np.arange(480) % 256
    mask = np.ones((480, 480), np.bool_)
    mask[-1] = False
    times = [NOON + k * SIX for k in range(count)]
    return hko7(folder, dict.fromkeys(times, frame), dict.fromkeys(times, mask))


def test_a_folder_in_hko_7s_layout_opens_by_itself(tmp_path: Path) -> None:
    sequence = open_archive(archive(tmp_path))
    layout = sequence.layout
    assert (layout.format, sequence.step_minutes) == ("HKO-7", 6)
    assert sequence.times == tuple(NOON + k * SIX for k in range(3))
    assert (layout.zr.a, layout.zr.b, layout.synthetic) == (58.53, 1.56, False)
    assert sequence.grid.pixel_km == pytest.approx((512 / 480, 512 / 480))
    values = sequence.native(1)
    # the published law with its sign put right: pixel = (dBZ + 10) / 70 * 255
    np.testing.assert_allclose(values[0, 1:256], np.arange(1, 256) / 255 * 70 - 10, rtol=1e-6)
    assert values[5, 5] == NO_ECHO_DBZ
    assert np.isnan(values[-1]).all()
    assert np.isnan(values).sum() == 480
    assert sequence.rain_rate(1)[5, 5] == 0
    assert pickle.loads(pickle.dumps(sequence)).native(0).shape == (480, 480)


@pytest.mark.parametrize(("pixel", "rate"), [(83.70, 0.5), (117.92, 2), (140.53, 5), (157.64, 10), (184.75, 30),
                                             (255, 516.7)])
def test_the_pixels_of_the_thresholds(tmp_path: Path, pixel: float, rate: float) -> None:
    """The benchmark's own table of thresholds in pixels; neighbours of the pixel lie on both sides of the rate."""
    sequence = open_archive(archive(tmp_path, 1))
    rates = sequence.rain_rate(0)[0, :256]
    assert np.interp(pixel, np.arange(256), rates) == pytest.approx(rate, rel=2e-3)


def test_the_grid_lies_around_hong_kong(tmp_path: Path) -> None:
    grid = open_archive(archive(tmp_path, 1)).grid
    lon, lat = grid.lonlat(grid.extent[0], 0.0)
    _, _, away = Geod(ellps="WGS84").inv(114.174, 22.302, lon, lat)
    assert away == pytest.approx(256_000, abs=1)
    north = grid.lonlat(0.0, grid.extent[3])
    assert north[0] == pytest.approx(114.174)
    assert north[1] > 24


def test_a_missing_frame_is_all_no_data(tmp_path: Path) -> None:
    """HKO-7 stores zeros with a mask that is false everywhere."""
    archive(tmp_path, 2)
    time = NOON + 2 * SIX
    hko7(tmp_path, {time: np.zeros((480, 480), np.uint8)}, {time: np.zeros((480, 480), np.bool_)})
    assert np.isnan(open_archive(tmp_path).native(2)).all()


@pytest.mark.parametrize("inside", ["radarPNG", "radarPNG/2015/05/11", "radarPNG/2015/05/11/RAD150511120000.png"])
def test_opened_from_anywhere_inside(tmp_path: Path, inside: str) -> None:
    sequence = open_archive(archive(tmp_path) / inside)
    assert sequence.times[0] == NOON
    assert np.isnan(sequence.native(0)).sum() == 480


def test_a_gap_stays_one(tmp_path: Path) -> None:
    archive(tmp_path, 5)
    (tmp_path / "radarPNG/2015/05/11/RAD150511121200.png").unlink()
    sequence = open_archive(tmp_path)
    assert [(gap.after, gap.missing) for gap in sequence.gaps] == [(NOON + SIX, 1)]


def test_the_static_mask_stands_in(tmp_path: Path) -> None:
    time = NOON
    excluded = np.zeros((480, 480), np.uint8)
    excluded[:10] = 1
    hko7(tmp_path, {time: np.full((480, 480), 100, np.uint8)}, {})
    assert not np.isnan(open_archive(tmp_path).native(0)).any()
    (tmp_path / "hko_data").mkdir()
    np.savez(tmp_path / "hko_data/mask_dat.npz", exclude_mask=excluded)
    assert np.isnan(open_archive(tmp_path).native(0)).sum() == 4800


@pytest.mark.parametrize("content", [b"", b"no zlib", b"\x78\x9c" + b"\0" * 40])
def test_a_damaged_mask_is_told(tmp_path: Path, content: bytes) -> None:
    archive(tmp_path)
    (tmp_path / "radarPNG_mask/2015/05/11/RAD150511120600.mask").write_bytes(content)
    with pytest.raises(UnreadableInput, match=r"RAD150511120600\.mask"):
        open_archive(tmp_path).native(1)


def test_pictures_of_other_sizes_are_not_hko_7(tmp_path: Path) -> None:
    picture(tmp_path / "RAD150511120000.png", np.zeros((100, 100), np.uint8))
    with pytest.raises(UnreadableInput):
        open_archive(tmp_path)


def test_the_centre_can_be_put_right_beside_the_frames(tmp_path: Path) -> None:
    archive(tmp_path, 1)
    known = image_folder.describe(tmp_path)
    assert known is not None
    write_description(tmp_path, image_folder.with_place(known, 114.0, 22.0))
    sequence = open_archive(tmp_path)
    assert sequence.grid.lonlat(0.0, 0.0) == pytest.approx((114.0, 22.0))
    assert np.isnan(sequence.native(0)).sum() == 480  # the masks are still found


@pytest.mark.realdata
def test_the_benchmarks_own_masks(real_data: Path) -> None:
    with npz_tools.opened(real_data / "hko7/mask_dat.npz", "masks") as masks:
        excluded = npz_tools.array(masks, "exclude_mask", 10**6)
        outliers = npz_tools.array(masks, "outlier_mask", 10**6)
        outside = npz_tools.array(masks, "out_boundary_mask", 10**6)
    assert ((excluded == 0).sum(), outliers.sum(), outside.sum()) == (177316, 2824, 50260)


@pytest.mark.realdata
def test_frames_under_the_benchmarks_own_mask(tmp_path: Path, real_data: Path) -> None:
    hko7(tmp_path, {NOON: np.full((480, 480), 100, np.uint8)}, {})
    (tmp_path / "mask_dat.npz").write_bytes((real_data / "hko7/mask_dat.npz").read_bytes())
    assert np.isfinite(open_archive(tmp_path).native(0)).sum() == 177316
