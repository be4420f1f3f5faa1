"""Described folders of pictures: value laws, times, places, damage; and guesses for folders nobody described."""

from __future__ import annotations

import random
import struct
import time as clock
import tomllib
import zlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pyproj import Transformer

from engine.archives import description_file, image_folder, open_archive, picture_datasets, pictures
from engine.archives.description import Description, GridLaw, TimeLaw, ValueLaw
from engine.archives.image_proposal import propose
from engine.cancel import CancelToken
from engine.errors import Cancelled, UnreadableInput, UnwritableOutput
from engine.radar.units import NO_ECHO_DBZ, ZR, Quantity
from tests.engine.image_builders import picture

START = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)
PIXELS = np.array([[0, 1, 64, 255], [100, 200, 84, 104]], np.uint8)
HALF = """
title = "A test radar"
source = "Somebody"
[value]
gain = 0.5
offset = -32.0
missing = [255]
no_echo = 0
[time]
pattern = '(?P<year>\\d{4})(?P<month>\\d\\d)(?P<day>\\d\\d)_(?P<hour>\\d\\d)(?P<minute>\\d\\d)\\.'
[grid]
crs = "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=25 +a=6371288 +units=m"
pixel = [1000, 2000]
place = "upper-left"
at = [-118000.0, -2300000.0]
[zr]
a = 223
b = 1.53
"""


def folder_of(folder: Path, text: str = HALF, count: int = 3, name: str = "radar_%Y%m%d_%H%M.png",
              pixels: Any = PIXELS) -> Path:
    for k in range(count):
        picture(folder / (START + timedelta(minutes=5 * k)).strftime(name), pixels)
    (folder / "stormdeck.toml").write_text(text)
    return folder


def test_a_described_folder(tmp_path: Path) -> None:
    sequence = open_archive(folder_of(tmp_path))
    layout = sequence.layout
    assert (layout.format, layout.source, layout.unit) == ("A test radar", "Somebody", "dBZ")
    assert (layout.zr, layout.zr_source) == (ZR(223, 1.53), "given in the description")
    assert sequence.times == tuple(START + timedelta(minutes=5 * k) for k in range(3))
    np.testing.assert_array_equal(sequence.native(1), [[NO_ECHO_DBZ, -31.5, 0, np.nan], [18, 68, 10, 20]])
    assert sequence.grid.extent == (-118000, -114000, -2304000, -2300000)
    lon, lat = Transformer.from_crs(layout.grid.crs, "EPSG:4326", always_xy=True).transform(-117500, -2301000)
    assert sequence.grid.lonlat(sequence.grid.x[0], sequence.grid.y[0]) == pytest.approx((lon, lat))


@pytest.mark.parametrize("save", ["png", "gif", "tif", "pgm", "palette", "rgb", "rgba", "16 bit", "grey palette"])
def test_the_kinds_of_pictures_give_the_same(tmp_path: Path, save: str) -> None:
    folder_of(tmp_path, count=0)
    ending = {"gif": "gif", "tif": "tif", "pgm": "pgm"}.get(save, "png")
    image = Image.fromarray(PIXELS)
    if save == "palette":
        image.putpalette(bytes(range(255, -1, -1)) * 3)
    elif save in ("rgb", "rgba"):
        image = image.convert(save.upper())
    elif save == "16 bit":
        image = Image.fromarray(PIXELS.astype(np.uint16))
    elif save == "grey palette":
        (tmp_path / "stormdeck.toml").write_text(HALF.replace("gain", 'palette = "grey"\ngain'))
        image = Image.fromarray(255 - PIXELS)
        image.putpalette(bytes(np.repeat(np.arange(255, -1, -1), 3).astype(np.uint8)))
    image.save(tmp_path / f"radar_20200701_1200.{ending}", **({"optimize": False} if save == "gif" else {}))
    values = open_archive(tmp_path).native(0)
    np.testing.assert_array_equal(values, [[NO_ECHO_DBZ, -31.5, 0, np.nan], [18, 68, 10, 20]])


def test_floats_in_tiff_and_transparent_pixels(tmp_path: Path) -> None:
    folder_of(tmp_path, count=0)
    picture(tmp_path / "radar_20200701_1200.tif", PIXELS.astype(np.float32) + np.float32(0.5))
    assert open_archive(tmp_path).native(0)[0, 1] == -31.25
    (tmp_path / "radar_20200701_1200.tif").unlink()
    grey = np.stack([PIXELS, np.full_like(PIXELS, 255)], axis=-1)
    grey[1, 1, 1] = 0
    picture(tmp_path / "radar_20200701_1200.png", grey)
    values = open_archive(tmp_path).native(0)
    assert np.isnan(values[1, 1])
    assert values[1, 0] == 18


def value(text: str) -> str:
    return HALF[:HALF.index("[value]")] + "[value]\n" + text + HALF[HALF.index("[time]"):]


@pytest.mark.parametrize(("law", "expected"), [
    ('law = "hko7"', [[NO_ECHO_DBZ, 1 / 255 * 70 - 10, 64 / 255 * 70 - 10, 60]]),
    ('quantity = "rain_rate"\ngain = 0.1\nminutes = 10\nmissing = 255', [[0, 0.6, 38.4, np.nan]]),
    ('law = "table"\ntable = [[64, 20.5], [1, 3]]\nno_echo = 0', [[NO_ECHO_DBZ, 3, 20.5, np.nan]]),
    ('law = "colours"\ncolours = [["#000000", 0.0], ["#010101", 5.0], ["#ffFFff", 9.5]]', [[0, 5, np.nan, 9.5]]),
])
def test_value_laws(tmp_path: Path, law: str, expected: list[list[float]]) -> None:
    values = open_archive(folder_of(tmp_path, value(law + "\n"))).native(0)
    np.testing.assert_allclose(values[:1], np.array(expected, np.float32), rtol=1e-6)


def test_colours_of_coloured_pictures(tmp_path: Path) -> None:
    rgb = np.zeros((2, 3, 3), np.uint8)
    rgb[0, 0], rgb[0, 1] = (255, 0, 16), (0, 160, 255)
    law = 'law = "colours"\ncolours = [["#ff0010", 45.0], ["#00a0ff", 15.0], ["#000000", -32.0]]\n'
    values = open_archive(folder_of(tmp_path, value(law), pixels=rgb)).native(0)
    assert values[0, :3].tolist() == [45, 15, NO_ECHO_DBZ]
    folder_of(tmp_path, pixels=rgb)
    with pytest.raises(UnreadableInput, match="coloured") as caught:
        open_archive(tmp_path).native(0)
    assert "colours" in caught.value.advice


@pytest.mark.parametrize(("time", "name", "expected"), [
    ('strptime = "%Y/%j/r%H%M.png"', "2020/183/r1205.png", START + timedelta(minutes=5)),
    ("pattern = '(?P<year>\\d\\d)(?P<doy>\\d{3})(?P<hour>\\d\\d)(?P<minute>\\d\\d)'", "AQC201831205.png",
     START + timedelta(minutes=5)),
    ("pattern = '(?P<year>\\d{4})/(?P<month>\\d\\d)/(?P<day>\\d\\d)/(?P<number>\\d+)\\.'\n", "2020/07/01/145.png",
     START + timedelta(minutes=5)),
    ("pattern = '_(?P<number>\\d+)\\.'\nstart = 2020-07-01T12:00:00Z", "run_0007.png", START + timedelta(minutes=35)),
    ("start = 2020-07-01T14:00:00+02:00", "whatever.png", START),
    ('strptime = "%Y%m%d%H%M.png"\nutc_offset_minutes = 480', "202007012000.png", START),
    ('strptime = "%Y%m%d%H%M%z.png"', "202007012000+0800.png", START),
    ("pattern = '(?P<year>\\d{4})(?P<month>\\d\\d)(?P<day>\\d\\d)(?P<hour>\\d\\d)'", "2020070124.png",
     START + timedelta(hours=12)),
])
def test_times(tmp_path: Path, time: str, name: str, expected: datetime) -> None:
    text = HALF[:HALF.index("[time]")] + "[time]\n" + time + "\n" + HALF[HALF.index("[grid]"):]
    (tmp_path / "stormdeck.toml").write_text("step_minutes = 5\n" + text)
    picture(tmp_path / name, PIXELS)
    assert open_archive(tmp_path).times == (expected,)


def test_events_lie_apart(tmp_path: Path) -> None:
    """SRAD2018: numbers within events, no dates; two events never touch, not even with a day of pictures."""
    for event in ("206482464212530", "206482464212531"):
        for number in (0, 1, 2, 239):
            picture(tmp_path / f"SRAD2018_TRAIN_001/RAD_{event}/RAD_{event}_{number:03}.png",
                    np.full((501, 501), 51, np.uint8))
    sequence = open_archive(tmp_path)
    assert sequence.layout.format == "SRAD2018"
    assert "nominal" in sequence.layout.source
    assert (len(sequence), sequence.step_minutes) == (8, 6)
    first, second = sequence.times[:4], sequence.times[4:]
    assert second[0] - first[-1] > timedelta(hours=1)
    assert [t - second[0] for t in second] == [k * timedelta(minutes=6) for k in (0, 1, 2, 239)]
    assert sequence.native(0)[0, 0] == pytest.approx(51 / 255 * 70 - 10)
    assert open_archive(tmp_path / "SRAD2018_TRAIN_001/RAD_206482464212531").times == first


def test_a_picture_of_another_size_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    """The header says 60,000 pixels, most of which are not there: what is wrong with it is the size."""
    sequence = open_archive(folder_of(tmp_path))
    victim = sequence.frames[1].path
    content = bytearray(victim.read_bytes())
    content[16:24] = struct.pack(">II", 200, 300)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    victim.write_bytes(content)
    with pytest.raises(UnreadableInput, match="200 x 300 pixels, the others have"):
        sequence.native(1)


def test_a_header_that_says_more_than_the_file_can_hold_is_refused(tmp_path: Path) -> None:
    """Of the only picture there is, so that no other tells its size; zeros packed as tightly as can be are fine."""
    path = folder_of(tmp_path, count=1) / "radar_20200701_1200.png"
    rows = zlib.compress(bytes(3000 * 3001), 9)
    for height, whole in ((3000, True), (20_000, False)):
        head = struct.pack(">IIBBBBB", 3000, height, 8, 0, 0, 0, 0)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in ((b"IHDR", head), (b"IDAT", rows), (b"IEND", b""))))
        if whole:
            assert pictures.stored(path)[0].shape == (3000, 3000)
            continue
        with pytest.raises(UnreadableInput, match="cannot hold a picture of 3000 x 20000 pixels"):
            open_archive(tmp_path)


def test_shanghai(tmp_path: Path) -> None:
    for minute in (0, 6):
        picture(tmp_path / f"nh_radar_comp_echo/event1/2016070112{minute:02}.png", np.full((501, 501), 51, np.uint8))
    sequence = open_archive(tmp_path / "nh_radar_comp_echo")
    assert (sequence.layout.format, sequence.step_minutes) == ("Shanghai", 6)
    assert sequence.times[0] == datetime(2016, 7, 1, 12, 0, tzinfo=UTC)
    assert sequence.native(0)[0, 0] == pytest.approx(14)
    assert "assumed" in sequence.layout.source


def test_data_sets_that_are_not_public_are_not_claimed(tmp_path: Path) -> None:
    picture(tmp_path / "scwds/201607011200.png", np.zeros((301, 301), np.uint8))
    with pytest.raises(UnreadableInput):
        open_archive(tmp_path)
    description_file.write_description(tmp_path, picture_datasets.SCWDS.description)
    assert open_archive(tmp_path).layout.format == "SCWDS"


@pytest.mark.parametrize("place", GridLaw.PLACES)
@pytest.mark.parametrize("lonlat", [False, True])
def test_places_of_the_grid(place: str, lonlat: bool) -> None:
    """The named point of a 4 x 6 picture of 2 km x 1 km cells lies where ``at`` says."""
    crs = "+proj=laea +lat_0=50 +lon_0=10 +datum=WGS84 +units=m"
    to_lonlat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    at = to_lonlat.transform(3000.0, 4000.0) if lonlat else (3.0, 4.0)
    law = GridLaw(crs if lonlat else crs.replace("units=m", "units=km"), (2000, 1000) if lonlat else (2, 1), place, at,
                  lonlat)
    grid = law.grid((4, 6))
    left, right, bottom, top = grid.extent
    point = {"centre": ((left + right) / 2, (bottom + top) / 2), "upper-left": (left, top),
             "lower-left": (left, bottom), "upper-left-cell": (grid.x[0], grid.y[0]),
             "lower-left-cell": (grid.x[0], grid.y[-1])}[place]
    assert point == pytest.approx((3000, 4000), abs=1e-3)
    assert (grid.dx, grid.dy) == pytest.approx((2000, 1000))


def test_rows_from_the_south(tmp_path: Path) -> None:
    folder_of(tmp_path, HALF.replace("[zr]", 'rows = "south-first"\n[zr]'))
    assert open_archive(tmp_path).native(0)[1, 2] == 0


def test_a_description_covers_the_folders_below(tmp_path: Path) -> None:
    folder_of(tmp_path, name="%Y/%m/radar_%Y%m%d_%H%M.png")
    assert len(open_archive(tmp_path / "2020/07")) == 3
    assert len(open_archive(tmp_path / "2020/07/radar_20200701_1205.png")) == 1
    assert len(open_archive(tmp_path.parent / tmp_path.name / "2020")) == 3
    several = [tmp_path / "2020/07/radar_20200701_1205.png", tmp_path / "2020/07/radar_20200701_1210.png"]
    assert len(open_archive(several)) == 2


def test_strangers_and_doubles_are_named(tmp_path: Path) -> None:
    folder_of(tmp_path)
    picture(tmp_path / "legend.png", PIXELS)
    picture(tmp_path / "z_20200701_1200.png", PIXELS)
    sequence = open_archive(tmp_path)
    assert len(sequence) == 3
    assert {Path(s.path).name: s.reason.split(" radar_")[0] for s in sequence.skipped} == {
        "legend.png": "its name does not fit the time pattern", "z_20200701_1200.png": "same time as"}


def test_one_bad_picture_among_good_ones(tmp_path: Path) -> None:
    folder_of(tmp_path)
    (tmp_path / "radar_20200701_1200.png").write_bytes(b"no picture")
    picture(tmp_path / "radar_20200701_1205.png", np.zeros((3, 3), np.uint8))
    sequence = open_archive(tmp_path)
    assert sequence.grid.shape in ((2, 4), (3, 3))
    with pytest.raises(UnreadableInput, match="1200"):
        sequence.native(0)
    with pytest.raises(UnreadableInput, match=r"3 x 3|4 x 2"):
        (sequence.native(1), sequence.native(2))


@pytest.mark.parametrize(("old", "new", "says"), [
    ("gain = 0.5", "gian = 0.5", "did you mean 'gain'"), ("gain = 0.5", 'gain = "x"', r"\[value\] gain"),
    ("gain = 0.5", "gain = inf", "a number is needed"), ("[value]", "[valu]", "did you mean 'value'"),
    ('title = "A test radar"', "", "'title' is missing"),
    ("a = 223", "a = -1", "positive"), ("b = 1.53", "c = 1", "did you mean|known are"),
    ('place = "upper-left"', 'place = "middle"', "place must be"), ("pixel = [1000, 2000]", "pixel = [0, 1]", "pixel"),
    ("pixel = [1000, 2000]", "pixel = [1, 2, 3]", "pixel"), ("+proj=stere", "+proj=nothing", "PROJ"),
    ("(?P<year>", "(?P<yeer>", "yeer"), ("(?P<year>\\d{4})", "(?P<year>\\d{4}", "regular expression"),
    ("[time]", "[time]\nstrptime = '%Y'", "not both"), ("no_echo = 0", 'law = "log"', "law 'log'"),
    ("no_echo = 0", 'law = "table"', "table"), ("no_echo = 0", "minutes = 5", "rain rate"),
    ("gain = 0.5", "gain = ", "line|Invalid"), ("title =", "title == ", "line|Invalid"),
    ('title = "A test radar"', 'title = "A test radar"\nsynthetic = 1', "true or false"),
    ('title = "A test radar"', 'title = "A test radar"\nmasks = "mine"', "masks"),
])
def test_mistakes_in_descriptions_are_told(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in HALF
    folder_of(tmp_path, HALF.replace(old, new, 1))
    with pytest.raises(UnreadableInput, match=says) as caught:
        open_archive(tmp_path)
    assert "stormdeck.toml" in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_section_is_a_section() -> None:
    with pytest.raises(ValueError, match=r"\[time\]"):
        description_file.parse('title = "x"\ntime = 3')


@pytest.mark.parametrize("pattern", ["(a+)+$", "(?:a|a)*$", "(.*.*)*(?P<number>x)", "a*a*a*a*(?P<number>x)",
                                     "(x{1,9}){5}", "[)](a+)+", "a?" * 30 + "a" * 30])
def test_patterns_that_would_hang_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="at most two"):
        TimeLaw(pattern=pattern, start=START)


def test_the_slowest_pattern_allowed_answers_at_once() -> None:
    law = TimeLaw(pattern=".*.*(?P<number>x)", start=START)
    begin = clock.process_time()
    assert law.times(["a" * 250], timedelta(minutes=1)) == [None]
    assert clock.process_time() - begin < 5


def test_absurd_numbers_in_names_are_no_times() -> None:
    law = TimeLaw(pattern=r"(?P<number>\d+)", start=START)
    assert law.times(["9" * 40], timedelta(minutes=1)) == [None]
    assert TimeLaw(pattern=r"(?P<year>\d+)-(?P<doy>\d+)").times(["9999-99999"], timedelta()) == [None]


FULL = Description(
    title='A "radar" of\n\\ somewhere', time=TimeLaw(pattern=r"(?P<number>\d+)\.png$", start=START), step_minutes=2.5,
    value=ValueLaw(Quantity.RAIN_RATE, "table", minutes=5, table=((0, 0), (1, 0.25)), missing=(255,), no_echo=(7,)),
    grid=GridLaw("EPSG:3067", (250, 250), "lower-left-cell", (25.0, 60.0), True, "south-first"), zr=ZR(223, 1.53),
    zr_source="Ü", variable="rate", source="a\tb", masks="hko7", synthetic=True)


@pytest.mark.parametrize("description", [FULL, *(d.description for d in picture_datasets.DATA_SETS.values())],
                         ids=lambda d: d.title[:9])
def test_what_is_written_is_read_back(tmp_path: Path, description: Description) -> None:
    path = description_file.write_description(tmp_path, description)
    assert description_file.read_description(path) == description
    assert tomllib.loads(path.read_text(encoding="utf-8"))["title"] == description.title
    assert [p.name for p in tmp_path.iterdir()] == ["stormdeck.toml"]


def test_a_description_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(UnwritableOutput):
        description_file.write_description(tmp_path / "nowhere", FULL)
    (tmp_path / "stormdeck.toml").mkdir()
    with pytest.raises(UnwritableOutput):
        description_file.write_description(tmp_path, FULL)
    assert [p.name for p in tmp_path.iterdir()] == ["stormdeck.toml"]


def test_a_changed_description_is_noticed(tmp_path: Path) -> None:
    sequence = open_archive(folder_of(tmp_path))
    (tmp_path / "stormdeck.toml").write_text(value('quantity = "rain_rate"\n'))
    with pytest.raises(UnreadableInput, match="changed"):
        sequence.native(0)
    (tmp_path / "stormdeck.toml").unlink()
    with pytest.raises(UnreadableInput, match="gone"):
        sequence.native(1)


def test_bombs_are_refused(tmp_path: Path) -> None:
    """A header of 60000 x 60000 pixels, and one that only just passes Pillow's own limit."""
    folder_of(tmp_path, count=1)
    for width in (60_000, 9_300):
        head = struct.pack(">IIBBBBB", width, width, 8, 0, 0, 0, 0)
        chunks = b"".join(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
                          for kind, body in ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")))
        (tmp_path / "radar_20200701_1200.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
        with pytest.raises(UnreadableInput, match="pixels"):
            open_archive(tmp_path)


@pytest.mark.parametrize("ending", ["png", "gif", "pgm", "tif"])
def test_damaged_pictures_raise_nothing_else(tmp_path: Path, ending: str) -> None:
    folder_of(tmp_path, count=0)
    path = picture(tmp_path / f"radar_20200701_1200.{ending}", np.arange(300, dtype=np.uint8).reshape(15, 20))
    good, draw = path.read_bytes(), random.Random(ending)
    for _ in range(100):
        content = bytearray(good[:draw.randrange(1, len(good))] if draw.random() < 0.3 else good)
        for _ in range(draw.choice((1, 4, 32))):
            content[draw.randrange(len(content))] = draw.randrange(256)
        path.write_bytes(content)
        with suppress(UnreadableInput):
            open_archive(tmp_path).native(0)


@pytest.mark.parametrize(("name", "step", "start"), [
    ("radar_%Y%m%d_%H%M.png", 5, START), ("%Y-%m-%dT%H-%M.png", 5, START), ("x%Y%m%d%H%M%S.png", 5, START),
    ("RAD%y%m%d%H%M00.png", 5, START), ("AQC%y%j%H%M.png", 5, START), ("%Y/%m/%d/r%H%M.png", 5, START)])
def test_times_are_guessed_from_names(tmp_path: Path, name: str, step: float, start: datetime) -> None:
    for k in range(4):
        picture(tmp_path / (START + timedelta(minutes=5 * k)).strftime(name), PIXELS)
    proposal = propose(tmp_path)
    assert proposal.description.step_minutes == step
    assert len(proposal.pictures) == 4
    description_file.write_description(tmp_path, proposal.description)
    sequence = open_archive(tmp_path)
    assert (sequence.times[0], len(sequence)) == (start, 4)


def test_guesses_without_times_and_with_colours(tmp_path: Path) -> None:
    rgb = np.zeros((4, 5, 3), np.uint8)
    rgb[0, 0] = (255, 0, 0)
    for k in (1, 2, 10):
        picture(tmp_path / f"frame{k}.png", rgb)
    proposal = propose(tmp_path)
    assert proposal.description.value.colours == (("#000000", 0.0), ("#ff0000", 0.0))
    assert proposal.description.time.start is not None
    assert len(proposal.doubts) == 3
    description_file.write_description(tmp_path, proposal.description)
    assert [round((t - open_archive(tmp_path).times[0]).total_seconds() / 360) for t in open_archive(tmp_path).times
            ] == [0, 1, 9]
    with pytest.raises(UnreadableInput):
        propose(tmp_path.parent / "nowhere")


def test_a_preview_needs_no_file(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", PIXELS)
    values = image_folder.preview(Description(title="x", time=TimeLaw(start=START), step_minutes=5), path)
    np.testing.assert_array_equal(values, PIXELS.astype(np.float32))


def test_pictures_in_a_bundle_beside_their_description(tmp_path: Path) -> None:
    import tarfile

    folder_of(tmp_path / "in")
    with tarfile.open(tmp_path / "july.tar", "w") as tar:
        for path in sorted((tmp_path / "in").glob("*.png")):
            tar.add(path, path.name)
    (tmp_path / "stormdeck.toml").write_text(HALF)
    assert len(open_archive(tmp_path / "july.tar")) == 3


def test_a_large_folder_can_be_cancelled(tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    with token.takes_charge(), pytest.raises(Cancelled):
        image_folder.scan(folder_of(tmp_path))


def test_a_folder_below_with_a_description_of_its_own_is_an_archive_of_its_own(tmp_path: Path) -> None:
    folder_of(tmp_path)
    folder_of(tmp_path / "inner", value("gain = 2.0\n"), count=5)
    assert len(open_archive(tmp_path)) == 3
    inner = open_archive(tmp_path / "inner")
    assert (len(inner), inner.native(0)[0, 2]) == (5, 128)
