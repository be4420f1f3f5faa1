"""The outlier mask against a literal numpy version of the paper's formulas and against planted clutter."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.cancel import CancelToken
from engine.errors import Cancelled, NotEnoughInput, UnreadableInput, WrongUsage
from engine.jobs.denoise import DenoiseRequest, kept_mask, mask_path, run
from engine.jobs.events import Finished
from engine.jobs.scope import Scope
from engine.radar.denoise import (
    WEAK_DBZ,
    load_mask,
    masked,
    outlier_mask,
    pixels,
    weak_rain_rate,
    write_mask,
)
from engine.radar.sequence import RadarSequence
from engine.radar.units import HKO7, MARSHALL_PALMER, NO_ECHO_DBZ, Quantity
from tests import builders
from tests.engine.sequences import START, sequence


def rain(index: int, shape: tuple[int, int] = (40, 40)) -> NDArray[np.float32]:
    """Cells of reflectivity that move, with noise, in dBZ; outside of a circle there is no data."""
    rng = np.random.default_rng(index)
    y, x = np.mgrid[:shape[0], :shape[1]]
    field = np.full(shape, NO_ECHO_DBZ)
    for cell in range(3):
        centre = (shape[0] * (0.5 + 0.5 * np.sin(index * 0.13 + cell)), (index * (1 + cell) + 11 * cell) % shape[1])
        field = np.maximum(field, 50 - 0.6 * ((y - centre[0]) ** 2 + (x - centre[1]) ** 2) ** 0.8)
    field = np.where(field > 0, np.clip(field + rng.normal(0, 3, shape), 0, 60), NO_ECHO_DBZ)
    field[np.hypot(y - shape[0] / 2 + 0.5, x - shape[1] / 2 + 0.5) > shape[0] / 2] = np.nan
    return field.astype(np.float32)


PLANTED = {(10, 15): 35.0, (12, 18): 24.0, (25, 30): 41.0, (30, 8): 30.0, (18, 20): 52.0, (33, 22): 46.0}
"""Places of clutter and its level in dBZ, each its own as ground clutter has it."""


def with_clutter(index: int, shape: tuple[int, int] = (40, 40)) -> NDArray[np.float32]:
    """Nine times in ten clutter is there, within a few tenths of its level."""
    field = rain(index, shape)
    rng = np.random.default_rng(1000 + index)
    for place, level in PLANTED.items():
        if rng.random() < 0.9:
            field[place] = rng.normal(level, 0.15)
    return field


def reflectivity(count: int = 120) -> RadarSequence:
    return sequence(with_clutter, count, quantity=Quantity.REFLECTIVITY)


def literal(frames: list[NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Appendix D.2 word by word."""
    stack = np.stack(frames)
    inside = ~np.isnan(stack).any(0)
    pixel = np.clip(np.rint(255 * (np.nan_to_num(stack[:, inside]).astype(np.float64) + 10) / 70), 0, 255)
    x = np.stack([(pixel == value).mean(0) for value in range(1, 256)], 1)
    mean = x.sum(0) / len(x)
    covariance = sum(np.outer(one - mean, one - mean) for one in x) / (len(x) - 1)
    inverse = np.linalg.pinv(covariance, rcond=1e-13)
    distance = np.array([np.sqrt(max(0.0, (one - mean) @ inverse @ (one - mean))) for one in x])
    out = np.zeros(inside.shape, bool)
    out[inside] = distance > distance.mean() + 3 * distance.std()
    return out


def test_the_mask_is_the_papers() -> None:
    frames = [with_clutter(k) for k in range(60)]
    mask = outlier_mask(sequence(frames, quantity=Quantity.REFLECTIVITY))
    np.testing.assert_array_equal(mask.outliers, literal(frames))
    np.testing.assert_array_equal(mask.outside, np.isnan(frames[0]))


def test_bands_of_rows_give_the_same_mask() -> None:
    archive = reflectivity(40)
    whole = outlier_mask(archive)
    bands = outlier_mask(archive, memory=7 * 40 * 255)
    np.testing.assert_array_equal(whole.outliers, bands.outliers)
    assert bands.threshold == pytest.approx(whole.threshold, rel=1e-9)


def test_planted_clutter_is_found() -> None:
    """Six locations among 7,800 with moving rain: all six are found, and fewer than two in a hundred others."""
    archive = sequence(lambda index: with_clutter(index, (100, 100)), 80, quantity=Quantity.REFLECTIVITY)
    mask = outlier_mask(archive)
    planted = [place for place in PLANTED if not mask.outside[place]]
    hits = sum(bool(mask.outliers[place]) for place in planted)
    assert hits == len(planted) >= 5
    assert np.count_nonzero(mask.outliers) - hits <= 0.02 * np.count_nonzero(~mask.outside)


def test_masked_frames_have_no_data_there_and_weak_echo_is_none() -> None:
    archive = reflectivity(10)
    mask = outlier_mask(archive)
    clean = archive.with_mask(mask.excluded)
    values, before = clean.native(3), archive.native(3)
    assert np.isnan(values[mask.excluded]).all()
    kept = ~mask.excluded
    weak = kept & (before < WEAK_DBZ)
    assert (values[weak] == NO_ECHO_DBZ).all()
    np.testing.assert_array_equal(values[kept & ~weak], before[kept & ~weak])
    only = archive.with_mask(mask.excluded, clutter_filter=False)
    np.testing.assert_array_equal(only.native(3)[kept], before[kept])
    assert masked(archive, None, clutter_filter=False) is archive


@pytest.mark.parametrize("zr", [HKO7, MARSHALL_PALMER])
def test_the_filter_removes_pixels_below_71_and_keeps_71(zr: object) -> None:
    dbz = np.array([[p / 255 * 70 - 10 for p in (0, 1, 70)], [p / 255 * 70 - 10 for p in (71, 72, 255)]], np.float32)
    archive = sequence([dbz], quantity=Quantity.REFLECTIVITY, zr=zr)  # type: ignore[arg-type]
    assert pixels(dbz, archive.layout).tolist() == [[0, 1, 70], [71, 72, 255]]
    np.testing.assert_array_equal(archive.with_mask(None).native(0)[0], NO_ECHO_DBZ)
    np.testing.assert_array_equal(archive.with_mask(None).native(0)[1], dbz[1])
    rate = sequence([archive.rain_rate(0)], zr=zr)  # type: ignore[arg-type]
    assert (rate.with_mask(None).native(0)[0] == 0).all()
    np.testing.assert_array_equal(rate.with_mask(None).native(0)[1], rate.native(0)[1])


def test_the_limits_are_as_stated() -> None:
    assert pytest.approx(9.353, abs=1e-3) == WEAK_DBZ
    assert weak_rain_rate(HKO7) == pytest.approx((10 ** (WEAK_DBZ / 10) / 58.53) ** (1 / 1.56), rel=1e-5)
    assert weak_rain_rate(HKO7) == pytest.approx(0.29, abs=0.005)
    assert weak_rain_rate(MARSHALL_PALMER) == pytest.approx(0.14, abs=0.005)


def test_mask_files(tmp_path: Path) -> None:
    mask = outlier_mask(reflectivity(10))
    write_mask(tmp_path / "m.npz", mask)
    back = load_mask(tmp_path / "m.npz")
    np.testing.assert_array_equal(back.excluded, mask.excluded)
    assert back.grid is not None
    assert mask.grid is not None
    assert back.grid.same_as(mask.grid)
    assert (back.frames, back.threshold) == (10, mask.threshold)
    for content in (b"", b"no npz", (tmp_path / "m.npz").read_bytes()[:300]):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(UnreadableInput):
            load_mask(tmp_path / "bad.npz")
    np.savez(tmp_path / "bad.npz", outlier_mask=np.zeros(3), out_boundary_mask=np.zeros(3))
    with pytest.raises(UnreadableInput, match="no maps"):
        load_mask(tmp_path / "bad.npz")
    with (tmp_path / "bad.npz").open("wb") as file:
        pickle.dump({"outlier_mask": 1}, file)
    with pytest.raises(UnreadableInput):
        load_mask(tmp_path / "bad.npz")


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore:Reading `.npy` or `.npz` file required additional header parsing")
def test_hko7s_own_mask_opens(real_data: Path) -> None:
    mask = load_mask(real_data / "hko7" / "mask_dat.npz")
    assert mask.outliers.shape == (480, 480)
    assert (int(mask.outliers.sum()), int(mask.outside.sum()), int((~mask.excluded).sum())) == (2824, 50260, 177316)


def test_masks_of_another_shape_and_single_frames_are_refused() -> None:
    with pytest.raises(WrongUsage, match="40 x 40"):
        reflectivity(2).with_mask(np.zeros((3, 3), bool))
    with pytest.raises(NotEnoughInput):
        outlier_mask(reflectivity(1))
    with pytest.raises(NotEnoughInput):
        outlier_mask(sequence([np.full((4, 4), np.nan, np.float32)] * 3))


def test_the_job_keeps_the_mask_beside_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORMDECK_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "a"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(5):
        builders.odim(folder / f"{k}.h5", [rng.integers(0, 50, (6, 7)).astype(np.uint8)], [START.replace(minute=5 * k)])
    result = list(run(DenoiseRequest((folder,), tmp_path / "mine.npz"), Scope()))[-1]
    assert isinstance(result, Finished)
    assert result.result["locations"] == 42
    from engine.archives import open_archive

    kept = kept_mask((folder,), open_archive(folder))
    assert kept is not None
    np.testing.assert_array_equal(kept.outliers, load_mask(tmp_path / "mine.npz").outliers)
    assert sorted(path.name for path in folder.iterdir()) == [f"{k}.h5" for k in range(5)]
    assert kept_mask((folder,), reflectivity(2)) is None
    token = CancelToken()
    token.cancel()
    mask_path((folder,)).unlink()
    with pytest.raises(Cancelled):
        list(run(DenoiseRequest((folder,)), Scope(token)))
    assert not mask_path((folder,)).exists()
