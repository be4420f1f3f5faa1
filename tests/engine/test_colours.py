"""Colour tables: every file loads, its values rise, and the 256 entries mean what they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import UnreadableInput
from engine.radar.colours import ColourTable, load_colours
from engine.radar.scaling import NO_DATA, RAIN_CLASSES, rain_bins
from resources import DEFAULT_COLOURS, colour_tables

NAMES = sorted(colour_tables())


def luminance(table: np.ndarray) -> np.ndarray:
    """CIE lightness L* of 0xffRRGGBB colours (IEC 61966-2-1)."""
    channels = np.stack([table >> shift & 0xFF for shift in (16, 8, 0)], -1) / 255.0
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    y = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.asarray(116 * np.cbrt(y) - 16)


def test_four_tables_ship_with_the_default_first() -> None:
    assert len(NAMES) == 4
    assert next(iter(colour_tables())) == DEFAULT_COLOURS


@pytest.mark.parametrize("name", NAMES)
def test_every_file_loads_and_values_rise(name: str) -> None:
    table = load_colours(colour_tables()[name])
    assert table.name == name
    assert table.unit == "mm/h"
    assert (np.diff(table.values) > 0).all()
    assert table.rgba.shape == (len(table.values), 4)
    assert set(RAIN_CLASSES) <= set(table.values)


@pytest.mark.parametrize("name", NAMES)
def test_entries_of_the_bins(name: str) -> None:
    table = load_colours(colour_tables()[name])
    bins = rain_bins()
    argb, rgb = table.argb(), table.rgb32(background=0x102030, no_data=0x405060)
    assert argb.dtype == rgb.dtype == np.uint32
    assert argb.shape == rgb.shape == (256,)
    dry = bins.values() < table.values[0]
    assert (argb[dry] == 0).all()
    assert (rgb[dry] == 0xFF102030).all()
    assert dry.sum() >= 2
    assert argb[NO_DATA] == 0
    assert rgb[NO_DATA] == 0xFF405060
    assert (rgb >> 24 == 0xFF).all()
    for value, (red, green, blue, alpha) in zip(table.values, table.rgba.tolist(), strict=True):
        place = bins.position(value)
        if place is not None:
            assert argb[place] == alpha << 24 | red << 16 | green << 8 | blue


@pytest.mark.parametrize("name", NAMES)
def test_neighbouring_classes_can_be_told_apart(name: str) -> None:
    table = load_colours(colour_tables()[name])
    at = table.colours_at(np.array(RAIN_CLASSES)).astype(int)
    assert np.abs(np.diff(at, axis=0)).sum(axis=1).min() >= 60


@pytest.mark.parametrize("name", ["colour-blind", "grey"])
def test_lightness_carries_the_value(name: str) -> None:
    table = load_colours(colour_tables()[name])
    rgb = table.rgb32()[:NO_DATA]
    seen = rgb[rain_bins().values()[:NO_DATA] >= table.values[0]].astype(np.int64)
    light = luminance(seen)
    assert (np.diff(light) > -0.6).all()
    at = luminance(np.array([int.from_bytes(c[:3].tobytes()) for c in table.colours_at(np.array(RAIN_CLASSES))]))
    assert np.diff(at).min() > 7


def hand_made(stepped: bool) -> ColourTable:
    return ColourTable("x", "mm/h", (1.0, 100.0), np.array([[0, 0, 0, 255], [200, 100, 50, 255]], np.uint8), stepped)


def test_blending_is_even_in_the_logarithm() -> None:
    found = hand_made(False).colours_at(np.array([0.5, 1.0, 10.0, 100.0, 1e4, np.nan]))
    assert found.tolist() == [[0, 0, 0, 0], [0, 0, 0, 255], [100, 50, 25, 255], [200, 100, 50, 255],
                              [200, 100, 50, 255], [0, 0, 0, 0]]


def test_steps_hold_until_the_next_value() -> None:
    found = hand_made(True).colours_at(np.array([0.99, 1.0, 99.0, 100.0]))
    assert found[:, 0].tolist() == [0, 0, 0, 200]
    assert found[:, 3].tolist() == [0, 255, 255, 255]


def test_half_transparent_colours_mix_with_the_background(tmp_path: Path) -> None:
    path = tmp_path / "half.csv"
    path.write_text("mm/h\n# a comment\n# stepped\n\n0.1, #ff000080\n1,#00ff00\n", encoding="utf-8")
    table = load_colours(path)
    assert table.stepped
    assert table.argb()[rain_bins().position(0.5)] == 0x80FF0000
    assert table.rgb32(background=0x000000)[rain_bins().position(0.5)] == 0xFF800000


@pytest.mark.parametrize(("text", "why"), [
    ("", "first line"),
    ("dBZ\n1,#000000\n", "first line"),
    ("mm/h\n", "rise"),
    ("mm/h\n2,#000000\n1,#ffffff\n", "rise"),
    ("mm/h\n0,#000000\n1,#ffffff\n", "positive"),
    ("mm/h\nnan,#000000\n", "positive"),
    ("mm/h\n1,red\n", "line 2"),
    ("mm/h\n1,#000000\none,#000000\n", "line 3"),
    ("mm/h\n1,#0000\n", "line 2"),
])
def test_damaged_files_are_refused_by_name(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "broken.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableInput, match=why) as caught:
        load_colours(path)
    assert "broken.csv" in str(caught.value)


def test_missing_and_binary_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("binary.csv", "absent.csv"):
        with pytest.raises(UnreadableInput):
            load_colours(tmp_path / name)
