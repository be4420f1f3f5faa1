"""Exports are decoded again and compared with what was put in: colours, times in the captions, rates, metadata."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from engine.cancel import CancelToken
from engine.errors import (
    Cancelled,
    NotEnoughInput,
    StormdeckError,
    UnreadableInput,
    UnwritableOutput,
    WrongUsage,
)
from engine.export.gif import GifWriter, frame_delays
from engine.export.layout import arrange
from engine.export.look import DARK, packed, unpacked
from engine.export.palette import FixedPalette, merged
from engine.jobs.events import Finished, Progress
from engine.jobs.export import run
from engine.jobs.export_request import ExportRequest, target
from engine.jobs.scope import Scope
from engine.radar.grid import Grid
from engine.radar.scaling import NO_DATA, RAIN_CLASSES, rain_bins
from engine.radar.sequence import FrameRef, Layout, RadarSequence
from engine.radar.units import ZR
from tests.engine.export_scenes import LOOK, SIZE, START, STEP, archive, colours, km_grid, request, storm, times


def result_of(job: ExportRequest, scope: Scope | None = None) -> dict:
    *_, last = run(job, scope or Scope())
    assert isinstance(last, Finished)
    return last.result


def likeness(image: np.ndarray, text: str, right: int, base: int, size: int) -> float:
    """Correlation of a piece of an image with a text drawn there by Pillow alone."""
    left, top = right - 12 * size, base - size
    page = Image.new("L", (12 * size + 2, size + size // 3), 0)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(page).text((right - left, base - top), text, fill=255, font=font, anchor="rs")
    found = image[top: base + size // 3, left: right + 2].astype(float).mean(axis=2)
    wanted = np.asarray(page, float)
    return float(np.corrcoef(wanted.ravel(), found.ravel())[0, 1])


def shown_time(image: np.ndarray) -> tuple[datetime, float]:
    """Which of the possible captions stands at the top right of a decoded frame, and how sure that is."""
    unit = min(image.shape[1] / 1280, image.shape[0] / 720)
    right, base, size = image.shape[1] - round(24 * unit), round(12 * unit) + round(22 * unit), round(21 * unit)
    every = [START + n * STEP for n in range(-12, 40)]
    scores = [likeness(image, f"Valid {time:%Y-%m-%d %H:%M} UTC", right, base, size) for time in every]
    best = int(np.argmax(scores))
    assert scores[best] > 0.9
    assert sorted(scores)[-2] < scores[best] - 0.005
    return every[best], scores[best]


def shown_lead(image: np.ndarray) -> float:
    unit = min(image.shape[1] / 1280, image.shape[0] / 720)
    right, base, size = image.shape[1] - round(24 * unit), round(12 * unit) + round(43 * unit), round(15 * unit)
    leads = [5.0 * k for k in range(-6, 30)]
    words = [f"lead time +{k:g} min" if k > 0 else "reference time" if k == 0 else f"history {k:g} min"
             for k in leads]
    scores = [likeness(image, word, right, base, size) for word in words]
    assert max(scores) > 0.85
    return leads[int(np.argmax(scores))]


def test_synthetic_data_wears_its_badge(tmp_path: Path) -> None:
    plain, marked = tmp_path / "plain.png", tmp_path / "marked.png"
    result_of(request(plain, lead=5))
    job = request(marked, lead=5)
    result_of(replace(job, sequence=archive(10, synthetic=True)))
    amber = [(np.asarray(Image.open(path)) == DARK.badge).all(axis=2).sum() for path in (plain, marked)]
    assert amber[0] == 0
    assert amber[1] > 2 * 60 * 8
    assert Image.open(marked).text["Note"] == "SYNTHETIC DATA"


# --- files, decoded again

def test_png_says_its_times_in_pixels_and_in_text(tmp_path: Path) -> None:
    result = result_of(request(tmp_path / "one.png", lead=15, size=(1280, 720)))
    image = Image.open(tmp_path / "one.png")
    assert result["frames"] == 1
    assert image.size == (1280, 720) == tuple(result["size"])
    assert image.text["Valid time"] == "2010-08-26T04:45:00Z"
    assert image.text["Reference time"] == "2010-08-26T04:30:00Z"
    assert image.text["Lead time"] == "15 min"
    pixels = np.asarray(image)
    assert shown_time(pixels)[0] == START + 9 * STEP
    assert shown_lead(pixels) == 15.0


def test_numbered_pictures_come_as_one_folder(tmp_path: Path) -> None:
    result = result_of(request(tmp_path / "storm.png"))
    assert result["output"] == str(tmp_path / "storm")
    files = sorted((tmp_path / "storm").iterdir())
    assert [file.name for file in files] == [f"storm_{n:04d}_{time:%Y%m%dT%H%MZ}.png"
                                             for n, (time, _) in enumerate(times(), start=1)]
    assert [shown_time(np.asarray(Image.open(file)))[0] for file in files] == [time for time, _ in times()]
    assert [path.name for path in tmp_path.iterdir()] == ["storm"]
    with pytest.raises(UnwritableOutput, match="not empty"):
        result_of(request(tmp_path / "storm.png"))
    assert sorted((tmp_path / "storm").iterdir()) == files


def test_gif_decodes_to_the_right_frames_times_and_rate(tmp_path: Path) -> None:
    result = result_of(request(tmp_path / "a.gif", fps=8, dwell=1.5))
    assert (result["kind"], result["frames"], result["fps"]) == ("gif", 9, 8)
    with Image.open(tmp_path / "a.gif") as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (9, SIZE, 0)
        facts = json.loads(film.info["comment"])
        durations, seen = [], []
        for number in range(film.n_frames):
            film.seek(number)
            durations.append(film.info["duration"])
            pixels = np.asarray(film.convert("RGB"))
            seen.append((shown_time(pixels)[0], shown_lead(pixels)))
    assert seen == times()
    assert facts["lead_minutes"] == [lead for _, lead in times()]
    assert facts["reference_time"] == "2010-08-26T04:30:00Z"
    assert sum(durations) == pytest.approx(1000 * 9 / 8 + 1500, abs=10)
    assert durations[-1] >= 1600
    assert set(durations[:-1]) <= {120, 130}


def test_gif_keeps_one_palette_with_the_radar_colours_in_it(tmp_path: Path) -> None:
    job = request(tmp_path / "a.gif", contours=False)
    result_of(job)
    table = FixedPalette(LOOK).look.colours
    with Image.open(tmp_path / "a.gif") as film:
        for number in range(film.n_frames):
            film.seek(number)
            seen = {packed(tuple(int(v) for v in c)) for c in
                    np.unique(np.asarray(film.convert("RGB")).reshape(-1, 3), axis=0)}
            assert len(seen) <= 255
            bins = np.unique(rain_bins()(storm(km_grid(), 4 + number)))
            wanted = {int(table[b]) for b in bins}
            if number <= 5:  # the observations end here
                assert wanted <= seen
    raw = (tmp_path / "a.gif").read_bytes()
    assert raw[:6] == b"GIF89a"
    assert raw[10] == 0xF7  # a global table of 256 colours
    assert raw[-1:] == b"\x3b"


def test_few_radar_colours_pass_through_a_gif_unchanged() -> None:
    few = colours()
    few[1:NO_DATA] = few[1:NO_DATA] & 0xFFF8C000
    look = replace(LOOK, colours=few)
    assert 50 < len(np.unique(few)) < 180
    assert (FixedPalette(look).look.colours == few).all()


def test_merging_colours_keeps_classes_apart() -> None:
    table = merged(colours(), RAIN_CLASSES, 60)
    assert len(np.unique(table)) <= 60
    for threshold in RAIN_CLASSES:
        limit = rain_bins().position(threshold)
        assert table[limit - 1] != table[limit]
    change = [np.abs(np.subtract(unpacked(int(a)), unpacked(int(b)))).max()
              for a, b in zip(table, FixedPalette(LOOK).look.colours, strict=True)]
    assert max(change) < 80


def test_a_gif_equals_its_frames_pixel_for_pixel_also_where_nothing_changes() -> None:
    palette = FixedPalette(LOOK)
    draw = np.random.default_rng(3)
    frames = [palette.colours[draw.integers(0, len(palette.colours), (20, 30))] for _ in range(3)]
    frames = [frames[0], frames[0], frames[1], frames[2]]
    file = io.BytesIO()
    writer = GifWriter(file, (30, 20), palette)
    for frame, delay in zip(frames, frame_delays(4, 7, 0), strict=True):
        writer.add(Image.fromarray(frame), delay)
    writer.close()
    with Image.open(io.BytesIO(file.getvalue())) as film:
        for number, frame in enumerate(frames):
            film.seek(number)
            assert (np.asarray(film.convert("RGB")) == frame).all()


@pytest.mark.parametrize(("fps", "count"), [(8, 80), (7, 70), (25, 50), (50, 100), (0.5, 4)])
def test_gif_delays_add_up(fps: float, count: int) -> None:
    delays = frame_delays(count, fps, 0.0)
    assert sum(delays) == pytest.approx(100 * count / fps, abs=1)
    assert max(delays) - min(delays) <= 1


@pytest.mark.parametrize("fps", [8, 12.5])
def test_mp4_decodes_to_the_right_frames_times_and_rate(tmp_path: Path, fps: float) -> None:
    result = result_of(request(tmp_path / "a.mp4", fps=fps, size=(1281, 720)))
    assert (result["kind"], result["frames"], result["size"]) == ("mp4", 9, [1280, 720])
    with av.open(str(tmp_path / "a.mp4")) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == Fraction(fps)
        assert film.duration == pytest.approx(9 / fps * 1e6, rel=1e-3)
        facts = json.loads(film.metadata["comment"])
        frames = list(film.decode(video=0))
        title = film.metadata["title"]
    assert title == "Test archive, rover-nonlinear"
    assert [frame.pts * frame.time_base for frame in frames] == [k / Fraction(fps) for k in range(9)]
    assert facts["valid_times"] == [f"{time:%Y-%m-%dT%H:%M:%SZ}" for time, _ in times()]
    images = [frame.to_ndarray(format="rgb24") for frame in frames]
    assert [(shown_time(image)[0], shown_lead(image)) for image in images] == times()
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays while it loads


def test_mp4_keeps_colours_to_a_few_levels(tmp_path: Path) -> None:
    flat = np.full(km_grid().shape, 12.0, np.float32)
    table = colours()
    table[rain_bins()(np.float32(12.0))] = packed((40, 120, 200))
    layout = archive().layout
    refs = tuple(FrameRef(START + n * STEP, Path("x"), n) for n in range(3))
    job = ExportRequest(tmp_path / "a.mp4", sequence=RadarSequence(layout, refs, lambda ref, _: flat), basemap=(),
                        colours=table, size=SIZE)
    result_of(job)
    with av.open(str(tmp_path / "a.mp4")) as film:
        image = next(film.decode(video=0)).to_ndarray(format="rgb24")
    pane = arrange(SIZE, 60 / 48, 1).panes[0]
    middle = image[pane.top + pane.height // 2, pane.left + pane.width // 2]
    assert np.abs(middle.astype(int) - (40, 120, 200)).max() <= 4


def test_an_archive_alone_is_exported_in_one_pane(tmp_path: Path) -> None:
    result = result_of(ExportRequest(tmp_path / "a.gif", sequence=archive(5), colours=colours(), size=SIZE))
    assert result["frames"] == 5


def test_the_view_is_what_the_panes_show(tmp_path: Path) -> None:
    result_of(request(tmp_path / "a.png", lead=5, view=(10e3, 22e3, 20e3, 32e3), contours=False))
    image = np.asarray(Image.open(tmp_path / "a.png"))
    pane = arrange(SIZE, 1.0).panes[1]
    field = storm(km_grid(), 7)
    x, y = pane.left + pane.width // 2, pane.top + pane.height // 2
    row, column = km_grid().index(16e3 + 12e3 * 0.5 / pane.width, 26e3 - 12e3 * 0.5 / pane.height)
    assert packed(tuple(int(v) for v in image[y, x])) == LOOK.colours[rain_bins()(field[row, column])]


def test_netcdf_holds_the_forecast_itself(tmp_path: Path) -> None:
    from engine.archives.forecast_file import read_forecast
    from engine.radar.forecast import ForecastHeader

    job = request(tmp_path / "f.nc")
    header = ForecastHeader(job.sequence.grid, ZR(), START + 6 * STEP, 5.0, "rover-nonlinear", synthetic=True)
    assert result_of(replace(job, header=header)) | {"seconds": 0} == {
        "output": str(tmp_path / "f.nc"), "kind": "nc", "frames": 6, "size": None, "fps": None, "seconds": 0}
    stored = read_forecast(tmp_path / "f.nc")
    assert stored.lead_minutes == tuple(frame[0] for frame in job.predicted)
    assert np.array_equal(stored.frame(3), job.predicted[3][2], equal_nan=True)
    with pytest.raises(WrongUsage, match="header"):
        list(run(replace(job, output=tmp_path / "g.nc"), Scope()))
    with pytest.raises(WrongUsage, match="no forecast"):
        list(run(replace(job, output=tmp_path / "g.nc", predicted=()), Scope()))

    from_file = ExportRequest(tmp_path / "g.gif", sequence=archive(10), forecast=tmp_path / "f.nc", size=SIZE)
    result_of(from_file)
    result_of(replace(from_file, output=tmp_path / "copy.nc"))
    assert np.array_equal(read_forecast(tmp_path / "copy.nc").frame(0), job.predicted[0][2], equal_nan=True)
    with Image.open(tmp_path / "g.gif") as film:
        facts = json.loads(film.info["comment"])
        amber = (np.asarray(film.convert("RGB")) == DARK.badge).all(axis=2).sum()
    assert facts["forecaster"] == "rover-nonlinear"
    assert facts["lead_minutes"] == [5.0 * k for k in range(-5, 7)]
    assert amber > 500  # the forecast file says that its data are synthetic


def test_an_ensemble_shows_a_member_and_says_so(tmp_path: Path) -> None:
    from engine.export.film import Prediction, make_film

    both = np.stack([storm(km_grid(), 7), storm(km_grid(), 9)])
    prediction = Prediction(km_grid(), (5.0,), (START + STEP,), lambda _: both, "steps", START, members=2)
    film = make_film(None, prediction)
    frame = film.frame(film.moments[0], lambda *_: ())
    assert np.array_equal(frame.predicted, both[0], equal_nan=True)
    assert frame.observed is None


@pytest.mark.realdata
@pytest.mark.parametrize(("folder", "size"), [("knmi/2010-08-26", (1280, 720)), ("opera/2018-08-24", (640, 480))])
def test_real_archives_are_exported_with_their_times(real_data: Path, tmp_path: Path, folder: str,
                                                     size: tuple[int, int]) -> None:
    from engine.archives import open_archive

    files = sorted((real_data / folder).iterdir())[:4]
    sequence = open_archive(files)
    reference, step = sequence.times[1], sequence.step
    predicted = tuple((sequence.step_minutes * k, reference + k * step, sequence.rain_rate(1)) for k in (1, 2))
    result_of(ExportRequest(tmp_path / "a.gif", sequence=sequence, predicted=predicted, forecaster="persistence",
                            reference_time=reference, size=size))
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 4
        assert json.loads(film.info["comment"])["valid_times"] == [f"{time:%Y-%m-%dT%H:%M:%SZ}"
                                                                   for time in sequence.times]


# --- what goes wrong

def test_an_installation_without_h264_advises_a_gif(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.export.mp4.ENCODERS", ("no-such-encoder",))
    with pytest.raises(StormdeckError, match=r"no H\.264 encoder") as caught:
        list(run(request(tmp_path / "a.mp4"), Scope()))
    assert "GIF" in caught.value.advice
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.gif", "a.mp4", "a.png", "frames"])
def test_cancelling_leaves_nothing_behind_and_draws_nothing_more(tmp_path: Path, name: str) -> None:
    token, heard = CancelToken(), []

    def listen(event: object) -> None:
        heard.append(event)
        if isinstance(event, Progress) and event.text.startswith("drawing"):
            token.cancel()

    with pytest.raises(Cancelled):
        list(run(request(tmp_path / name), Scope(token, listen)))
    assert len([event for event in heard if isinstance(event, Progress)]) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.gif", "a.mp4", "frames"])
def test_a_frame_that_cannot_be_read_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    def read(ref: FrameRef, _: Layout) -> np.ndarray:
        if ref.key == 6:
            raise UnreadableInput(ref.path, "it is damaged")
        return storm(km_grid(), ref.key)

    job = request(tmp_path / name)
    if name != "frames":
        job.output.write_bytes(b"old")
    broken = RadarSequence(job.sequence.layout, job.sequence.frames, read, name="broken")
    with pytest.raises(UnreadableInput, match="damaged"):
        list(run(replace(job, sequence=broken), Scope()))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([b"old"] if name != "frames" else [])


@pytest.mark.parametrize("name", ["a.gif", "a.mp4", "a.png", "frames"])
def test_a_full_disk_is_one_clear_error(tmp_path: Path, name: str) -> None:
    resource = pytest.importorskip("resource", reason="limits on file sizes exist on POSIX only")
    job = request(tmp_path / name, size=(1280, 720))
    list(run(replace(job, output=tmp_path / "warm.png", lead=5), Scope()))  # imports must not write under the limit
    (tmp_path / "warm.png").unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, hard))
    try:
        with pytest.raises(UnwritableOutput, match=target(job)[1].name) as caught:
            list(run(job, Scope()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.exit_code == 1
    assert "space" in caught.value.advice
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.gif", "a.mp4", "a.png", "frames"])
def test_a_missing_folder_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnwritableOutput, match="no such folder"):
        list(run(request(tmp_path / "nowhere" / name), Scope()))
    again = pickle.loads(pickle.dumps(UnwritableOutput("x", "it is full")))
    assert str(again) == "Cannot write x: it is full"


def test_requests_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    for changes, words in (({"kind": "avi"}, "avi"), ({"theme": "pink"}, "pink"), ({"fps": 0}, "frames a second"),
                           ({"lead": 500, "kind": "png"}, "no frame at"), ({"thresholds": (2.0, 1.0)}, "rise"),
                           ({"leads": (900.0, 999.0)}, "nothing to export"), ({"reference_time": None}, "reference")):
        with pytest.raises(WrongUsage, match=words):
            list(run(request(tmp_path / "a.gif", **changes), Scope()))
    with pytest.raises(WrongUsage, match="an archive, a forecast or both"):
        list(run(ExportRequest(tmp_path / "a.gif", colours=colours()), Scope()))
    with pytest.raises(WrongUsage, match="does not say what"):
        target(ExportRequest(tmp_path / "a.avi"))
    other = Grid.regular(left=0, top=48e3, dx=1e3, dy=1e3, nx=60, ny=48, crs="EPSG:3035")
    with pytest.raises(NotEnoughInput, match="another map"):
        list(run(request(tmp_path / "a.gif", predicted_grid=other), Scope()))
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_one(tmp_path: Path) -> None:
    heard: list[Progress] = []
    result_of(request(tmp_path / "a.gif"), Scope(emit=heard.append))
    fractions = [event.fraction for event in heard]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert "04:20 UTC" in heard[0].text


def test_naming_the_job_loads_no_picture_library() -> None:
    code = ("import sys, engine.jobs.export; "
            "sys.exit(any(name in sys.modules for name in ('PIL', 'av', 'torch', 'netCDF4')))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
