"""Synthetic storms: frequencies, spectrum, motion, life in time, and the archive that ships."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from engine.archives import open_archive
from engine.errors import Cancelled, WrongUsage
from engine.export.odim import Composite, encode, write_odim
from engine.jobs.events import Finished, Progress
from engine.jobs.sample import START, SampleRequest, in_range, run, sample_grid
from engine.jobs.sample import shipped as shipped_request
from engine.jobs.scope import Scope
from engine.radar.scaling import RAIN_CLASSES
from engine.radar.units import MARSHALL_PALMER, Quantity
from engine.synthetic.cascade import Band, Octave, summed
from engine.synthetic.domain import Domain
from engine.synthetic.flow import Flow, draw_wind
from engine.synthetic.storm import CLASS_SHARES, StormSettings, storm
from resources import sample_archive

Frames = NDArray[np.float32]

SMALL = StormSettings(frames=12, shape=(160, 176), pixel_km=1.0, step_minutes=6.0, seed=5)


@pytest.fixture(scope="module")
def small() -> Frames:
    return storm(SMALL)


@pytest.fixture(scope="module")
def shipped() -> Frames:
    """(72, 384, 384) mm/h, decoded by hand from the numbers in the file; NaN out of range."""
    with h5py.File(sample_archive()) as file:
        raw = np.stack([file[f"dataset{n}/data1/data"][:] for n in range(1, 73)])
    rate = ((10 ** ((raw * 0.5 - 32.0) / 10) / 200.0) ** (1 / 1.6)).astype(np.float32)
    rate[raw == 0] = 0.0
    rate[raw == 255] = np.nan
    return rate


def shares(frames: Frames) -> NDArray[np.float64]:
    values = frames[np.isfinite(frames)]
    reached = [1.0, *((values >= limit).mean() for limit in RAIN_CLASSES), 0.0]
    return -np.diff(reached)


def log_rain(field: Frames) -> NDArray[np.float64]:
    return 16.0 * np.log10(np.maximum(np.nan_to_num(field), 0.05).astype(np.float64))


def spectral_slope(frames: Frames, shortest_km: float, longest_km: float) -> float:
    """Of the radially averaged two-dimensional power spectrum of square frames of 1 km cells."""
    side = frames.shape[1]
    taper = np.hanning(side)[:, None] * np.hanning(side)
    k = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side))
    ring = np.rint(k * side).astype(int).ravel()
    power = np.zeros(ring.max() + 1)
    for field in frames:
        spectrum = np.abs(np.fft.fft2((log_rain(field) - log_rain(field).mean()) * taper)) ** 2
        power += np.bincount(ring, spectrum.ravel()) / np.bincount(ring)
    wave = np.arange(power.size) / side
    chosen = (wave >= 1 / longest_km) & (wave <= 1 / shortest_km)
    return float(np.polyfit(np.log(wave[chosen]), np.log(power[chosen]), 1)[0])


def test_same_seed_same_bytes_other_seed_other_storm(small: Frames) -> None:
    assert small.dtype == np.float32
    assert small.shape == (12, 160, 176)
    assert storm(SMALL).tobytes() == small.tobytes()
    other = storm(StormSettings(12, (160, 176), 1.0, 6.0, seed=6))
    assert np.corrcoef(small.ravel(), other.ravel())[0, 1] < 0.2


def test_frequencies_are_those_of_the_table(small: Frames) -> None:
    assert np.isfinite(small).all()
    assert small.min() == 0.0
    np.testing.assert_allclose(shares(small), CLASS_SHARES, rtol=0.05)
    assert sum(CLASS_SHARES) == pytest.approx(1.0, abs=1e-9)


def test_frames_differ_without_jumps(small: Frames) -> None:
    rainy = (small >= 0.5).mean(axis=(1, 2))
    assert rainy.max() / rainy.min() > 1.1
    assert np.abs(np.diff(np.log(rainy))).max() < 0.35


def test_lighter_scales_die_sooner() -> None:
    """Carried by no wind, a band keeps exp(-step / lifetime) of itself; long waves keep more."""
    domain = Domain.around((96, 96), 1.0)
    still = (np.zeros(domain.shape), np.zeros(domain.shape))
    kept = []
    for wavelength in (6.0, 24.0):
        band = Band(domain, Octave(wavelength, 1), np.random.default_rng(1), 0.0)
        before = band.values.copy()
        band.advance(still, 6.0)
        kept.append(np.corrcoef(before.ravel(), band.values.ravel())[0, 1])
        expected = np.exp(-6.0 / (200.0 * (wavelength / 16.0) ** 0.75))
        assert kept[-1] == pytest.approx(expected, abs=0.06)
    assert kept[1] > kept[0]


@pytest.mark.parametrize("shape", [(96, 128), (180, 140), (148, 128)])
def test_coarse_bands_are_the_same_field_on_fewer_nodes(shape: tuple[int, int]) -> None:
    """Even and odd numbers of coarse nodes along either side."""
    domain = Domain(shape, (64, 64), 1.0)
    band = Band(domain, Octave(48.0, 4), np.random.default_rng(2), 0.3)
    fine = summed([band], [2.0])
    assert fine.shape == domain.shape
    np.testing.assert_allclose(fine[::4, ::4], 2.0 * band.values, atol=2e-3)


def test_flow_turns_and_has_no_divergence() -> None:
    domain = Domain.around((256, 256), 1.0)
    rng = np.random.default_rng(3)
    east, south = Flow(domain, draw_wind(rng, 0.0), rng, 6.0).velocity(0.0)
    diverging = np.gradient(east, axis=1)[2:-2, 2:-2] + np.gradient(south, axis=0)[2:-2, 2:-2]
    turning = np.gradient(south, axis=1)[2:-2, 2:-2] - np.gradient(east, axis=0)[2:-2, 2:-2]
    assert np.abs(diverging).max() < 0.02 * np.abs(turning).max()
    assert np.ptp(np.hypot(east, south)) > 0.2  # km/min between one place and another
    assert np.hypot(east, south).max() * 1000 / 60 < 40  # m/s


def test_report_may_stop_the_work() -> None:
    calls = []

    def stop(fraction: float) -> None:
        calls.append(fraction)
        if len(calls) > 20:
            raise Cancelled

    with pytest.raises(Cancelled):
        storm(SMALL, stop)
    assert all(0.0 <= fraction <= 1.0 for fraction in calls)


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"shape": (16, 200)}, {"pixel_km": 0.0}, {"step_minutes": 200.0}])
def test_senseless_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"frame|cells"):
        StormSettings(**wrong)  # type: ignore[arg-type]


def test_shipped_frequencies_and_size(shipped: Frames) -> None:
    assert sample_archive().stat().st_size <= 3e6
    np.testing.assert_allclose(shares(shipped), CLASS_SHARES, rtol=0.05)
    seen = np.isfinite(shipped[0])
    assert (np.isfinite(shipped) == seen).all()
    assert seen.mean() == pytest.approx(np.pi / 4, abs=0.005)
    rows, columns = np.nonzero(seen)
    assert np.hypot(rows - 191.5, columns - 191.5).max() <= 192.0
    assert 30.0 < np.nanmax(shipped) <= 170.0


def test_shipped_spectrum_falls_like_rain(shipped: Frames) -> None:
    """Slopes near -2 above and near -3 to -4 below a break at some 20 km, as in real composites."""
    middle = shipped[::8, 64:320, 64:320]
    assert -3.6 < spectral_slope(middle, 2, 64) < -2.2
    assert -2.8 < spectral_slope(middle, 20, 64) < -1.4
    assert spectral_slope(middle, 2, 16) < spectral_slope(middle, 20, 64) - 0.5


def test_shipped_motion_beats_persistence(shipped: Frames) -> None:
    """The best shift of each quarter explains the next frame far better than no motion, and quarters differ."""
    shifts, gains = [], []
    for start in (24, 36, 48):
        now, later = log_rain(shipped[start]), log_rain(shipped[start + 2])
        for top in (80, 192):
            for left in (80, 192):
                part = (slice(top, top + 112), slice(left, left + 112))
                errors = {(dy, dx): float(((np.roll(now, (dy, dx), (0, 1)) - later)[part] ** 2).mean())
                          for dy in range(-14, 15, 2) for dx in range(-14, 15, 2)}
                best = min(errors, key=lambda shift: errors[shift])
                shifts.append(best)
                gains.append(errors[best] / errors[(0, 0)])
    assert np.mean(gains) < 0.7
    assert np.std(np.array(shifts, float), axis=0).max() >= 1.0


def test_shipped_storm_has_no_pops(shipped: Frames) -> None:
    smooth = [ndimage.gaussian_filter(np.nan_to_num(np.log1p(np.nan_to_num(f))), 8) for f in shipped]
    change = np.array([np.abs(b - a).mean() for a, b in itertools.pairwise(smooth)])
    assert change.max() < 2.0 * np.median(change)


def test_shipped_file_is_plain_odim() -> None:
    with h5py.File(sample_archive()) as file:
        assert file.attrs["Conventions"] == b"ODIM_H5/V2_3"
        assert file["what"].attrs["object"] == b"COMP"
        assert file["what"].attrs["source"] == b"CMT:synthetic storm, Stormdeck"
        assert file["how"].attrs["synthetic"] == b"True"
        assert (file["how"].attrs["zr_a"], file["how"].attrs["zr_b"]) == (200.0, 1.6)
        assert (file["where"].attrs["xsize"], file["where"].attrs["xscale"]) == (384, 1000.0)
        last = file["dataset72/what"].attrs
        assert (last["enddate"], last["endtime"]) == (b"20010701", b"190600")
        values = file["dataset72/data1/what"].attrs
        assert (values["quantity"], values["gain"], values["offset"]) == (b"DBZH", 0.5, -32.0)
        assert (values["nodata"], values["undetect"]) == (255.0, 0.0)
        assert file["dataset1/data1/data"].dtype == np.uint8
        kind = h5py.h5a.open(file["what"].id, b"object").get_type()
        assert kind.get_strpad() == h5py.h5t.STR_NULLTERM


def test_shipped_archive_opens_labelled(shipped: Frames) -> None:
    archive = open_archive(sample_archive())
    assert len(archive) == 72
    assert archive.step == timedelta(minutes=6)
    assert archive.times[0] == START
    assert archive.layout.synthetic
    assert archive.zr == MARSHALL_PALMER
    lon, lat = archive.grid.lonlat(np.array([0.0]), np.array([0.0]))
    assert (lon[0], lat[0]) == pytest.approx((3.4, 52.4), abs=1e-6)
    np.testing.assert_allclose(archive.rain_rate(30), shipped[30], rtol=2e-4, atol=1e-5)


@pytest.mark.slow
def test_the_command_remakes_the_shipped_archive(tmp_path: Path) -> None:
    output = tmp_path / "again.h5"
    assert isinstance(list(run(shipped_request(output), Scope()))[-1], Finished)
    with h5py.File(sample_archive()) as old, h5py.File(output) as new:
        for number in range(1, 73):
            name = f"dataset{number}/data1/data"
            assert old[name][:].tobytes() == new[name][:].tobytes()


def small_request(output: Path, **changes: object) -> SampleRequest:
    return SampleRequest(output, frames=4, size=(64, 80), pixel_km=2.0, step_minutes=5.0, **changes)  # type: ignore[arg-type]


def test_job_writes_a_file_and_a_folder_alike(tmp_path: Path) -> None:
    told: list[object] = []
    events = list(run(small_request(tmp_path / "one.h5"), Scope(emit=told.append)))
    result = events[-1].result  # type: ignore[attr-defined]
    assert result["frames"] == 4
    assert result["synthetic"] is True
    assert any(isinstance(event, Progress) for event in told)
    list(run(small_request(tmp_path / "many"), Scope()))
    one, many = open_archive(tmp_path / "one.h5"), open_archive(tmp_path / "many")
    assert one.times == many.times
    assert len({frame.path for frame in many.frames}) == 4
    assert one.step == timedelta(minutes=5)
    assert one.grid.same_as(sample_grid((64, 80), 2.0))
    for index in range(4):
        np.testing.assert_array_equal(one.native(index), many.native(index))
        assert (np.isfinite(one.native(index)) == in_range((64, 80))).all()
    list(run(small_request(tmp_path / "two.h5"), Scope()))
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


@pytest.mark.parametrize("name", ["stopped.h5", "stopped"])
def test_cancelled_job_leaves_nothing(tmp_path: Path, name: str) -> None:
    class CancelledWhileWriting(Scope):
        def progress(self, fraction: float | None, text: str = "") -> None:
            if text == "writing" and fraction and fraction > 0.97:
                assert any(tmp_path.iterdir())
                self.token.cancel()
            super().progress(fraction, text)

    with pytest.raises(Cancelled):
        list(run(small_request(tmp_path / name), CancelledWhileWriting()))
    assert list(tmp_path.iterdir()) == []


def test_job_refuses_what_makes_no_sense(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for request in (small_request(tmp_path / "full"), small_request(tmp_path / "none" / "x.h5"),
                    SampleRequest(tmp_path / "x.h5", frames=0), small_request(tmp_path / "x.h5", seed=-1),
                    SampleRequest(tmp_path / "x.h5", frames=10_000)):
        with pytest.raises(WrongUsage):
            list(run(request, Scope()))
    assert [entry.name for entry in tmp_path.iterdir()] == ["full"]


def test_stored_numbers_by_hand() -> None:
    """stored = (dBZ + 32) / 0.5; 100 * mm/h for rain rates; 0 and the highest number are reserved."""
    dbz = np.array([[np.nan, -32.0, -31.9], [0.0, 20.2, 200.0]], np.float32)
    assert encode(dbz, Quantity.REFLECTIVITY).tolist() == [[255, 0, 1], [64, 104, 254]]
    rate = np.array([[np.nan, 0.0, 0.001], [1.0, 12.344, 9999.0]], np.float32)
    assert encode(rate, Quantity.RAIN_RATE).tolist() == [[65535, 0, 1], [100, 1234, 65534]]


def test_rain_rate_composite_comes_back(tmp_path: Path) -> None:
    grid = sample_grid((40, 48), 1.0)
    rate = np.random.default_rng(0).gamma(0.5, 4.0, grid.shape).astype(np.float32)
    rate[0, :5] = np.nan
    write_odim(tmp_path / "rate.h5", Composite(grid, Quantity.RAIN_RATE), [(START, rate)])
    archive = open_archive(tmp_path / "rate.h5")
    assert archive.layout.quantity is Quantity.RAIN_RATE
    assert not archive.layout.synthetic
    np.testing.assert_allclose(archive.native(0), rate, atol=0.0101)


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "kept.h5"
    path.write_bytes(b"old")
    grid = sample_grid((40, 48), 1.0)
    with pytest.raises(ValueError, match="does not lie"):
        write_odim(path, Composite(grid), [(START, np.zeros((3, 3), np.float32))])
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.h5"]
    assert path.read_bytes() == b"old"
