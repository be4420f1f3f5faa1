"""The job behind the form that describes a folder of images."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine import catalogue
from engine.archives import open_archive
from engine.errors import Undescribed, UnreadableInput, UnwritableOutput
from engine.jobs.describe import (
    DescribeRequest,
    GridLaw,
    Previewed,
    PreviewRequest,
    Proposed,
    ProposeRequest,
    Quantity,
    run,
)
from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope
from engine.radar.scaling import NO_DATA

COLOURS = np.full(256, 0xFF000000, np.uint32)


def made(folder: Path, count: int = 3, suffix: str = "png") -> Path:
    folder.mkdir(exist_ok=True)
    pixels = np.zeros((8, 12), np.uint8)
    pixels[2, 3], pixels[7, 11] = 102, 255
    for k in range(count):
        Image.fromarray(pixels).save(folder / f"r{202101010000 + 10 * k}.{suffix}")
    return folder


def events(request: ProposeRequest | PreviewRequest | DescribeRequest) -> list[Event]:
    found = list(run(request, Scope()))
    assert isinstance(found[-1], Finished)
    return found


def proposed(folder: Path) -> Proposed:
    found = next(event for event in events(ProposeRequest(folder)) if isinstance(event, Proposed))
    return pickle.loads(pickle.dumps(found))


def previewed(request: PreviewRequest) -> Previewed:
    return next(event for event in events(request) if isinstance(event, Previewed))


def test_the_catalogue_names_the_job() -> None:
    assert catalogue.load("job", "describe") is run
    assert catalogue.row("job", "describe").family == "files"


def test_from_a_guess_to_an_archive(tmp_path: Path) -> None:
    folder = made(tmp_path / "pictures")
    guess = proposed(folder)
    assert not guess.replaces
    assert {doubt.about for doubt in guess.doubts} == {"value", "grid"}
    description = replace(guess.description, value=replace(guess.description.value, gain=0.5, offset=-10.0,
                                                           no_echo=(0.0,), missing=(255.0,)))
    seen = previewed(PreviewRequest(folder, description, guess.pictures, 1, COLOURS))
    assert seen.times == tuple(datetime(2021, 1, 1, 0, 10 * k, tzinfo=UTC) for k in range(3))
    assert (seen.size, seen.low, seen.high, seen.error, seen.time_error) == ((8, 12), 41.0, 41.0, "", "")
    assert seen.picture is not None
    assert seen.picture.bins[7, 11] == NO_DATA
    assert seen.picture.rain_rate[2, 3] == pytest.approx((10 ** 4.1 / 200) ** (1 / 1.6), rel=1e-5)
    done = events(DescribeRequest(folder, description))[-1]
    assert isinstance(done, Finished)
    assert Path(done.result["output"]) == folder / "stormdeck.toml"
    sequence = open_archive(folder)
    assert (len(sequence), sequence.native(0)[2, 3]) == (3, pytest.approx(41.0))
    again = proposed(folder)
    assert (again.replaces, again.description, again.doubts) == (True, description, ())


def test_rain_rates_are_drawn_as_they_are(tmp_path: Path) -> None:
    folder = made(tmp_path / "pictures")
    guess = proposed(folder)
    value = replace(guess.description.value, quantity=Quantity.RAIN_RATE, gain=0.1, offset=0.0)
    seen = previewed(PreviewRequest(folder, replace(guess.description, value=value), guess.pictures, 0, COLOURS))
    assert seen.picture is not None
    assert seen.picture.rain_rate[2, 3] == pytest.approx(10.2)


def test_what_is_wrong_is_said_in_the_event(tmp_path: Path) -> None:
    folder = made(tmp_path / "pictures")
    guess = proposed(folder)
    (folder / guess.pictures[1].name).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    broken = previewed(PreviewRequest(folder, guess.description, guess.pictures, 1, COLOURS))
    assert (broken.about, broken.picture) == ("value", None)
    assert broken.error
    grid = GridLaw("EPSG:32633", at=(500.0, 95.0), lonlat=True)
    lost = previewed(PreviewRequest(folder, replace(guess.description, grid=grid), guess.pictures, 0, COLOURS))
    assert (lost.about, lost.picture, lost.size) == ("grid", None, (8, 12))
    time = replace(guess.description.time, pattern=r"x(?P<year>\d{4})(?P<doy>\d{3})")
    timeless = previewed(PreviewRequest(folder, replace(guess.description, time=time), guess.pictures, 0, COLOURS))
    assert timeless.times == (None, None, None)
    assert "does not fit" in timeless.time_error
    assert timeless.picture is not None


def test_a_folder_that_is_gone_cannot_be_written_to(tmp_path: Path) -> None:
    description = proposed(made(tmp_path / "pictures")).description
    with pytest.raises(UnwritableOutput):
        events(DescribeRequest(tmp_path / "gone", description))


def test_no_picture_no_proposal(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="no PNG"):
        events(ProposeRequest(tmp_path))


@pytest.mark.parametrize("count", [1, 3, 201])  # 201: remembered in an index
def test_opening_pictures_that_nothing_describes_says_so(tmp_path: Path, count: int,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORMDECK_CACHE", str(tmp_path / "cache"))
    folder = made(tmp_path / "pictures", count)
    for _ in range(2):
        with pytest.raises(Undescribed, match="no known radar format") as caught:
            open_archive(folder)
        assert caught.value.path == str(folder)
        assert "Describe the images" in caught.value.advice
        copied = pickle.loads(pickle.dumps(caught.value))
        assert (type(copied), str(copied), copied.advice) == (Undescribed, str(caught.value), caught.value.advice)
    with pytest.raises(Undescribed):
        open_archive(sorted(folder.iterdir())[0])


def test_other_unknown_files_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_text("only text\n", "utf-8")
    with pytest.raises(UnreadableInput) as caught:
        open_archive(tmp_path)
    assert not isinstance(caught.value, Undescribed)
