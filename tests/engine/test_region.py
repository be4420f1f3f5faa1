"""Regions: which cells belong, against shapely; outlines from files; refusals."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.archives.outlines import read_outlines, read_region
from engine.errors import UnreadableInput, WrongUsage
from engine.radar.grid import Grid
from engine.radar.region import Region

GRID = Grid.regular(left=0.0, top=40_000.0, dx=1000.0, dy=1000.0, nx=60, ny=40, crs="EPSG:3035")
DUTCH = Grid.regular(left=3_900_000, top=3_300_000, dx=2000.0, dy=2000.0, nx=100, ny=80, crs="EPSG:3035")
DEGREES = Grid.regular(left=260.0, top=40.0, dx=0.05, dy=0.05, nx=120, ny=90, crs="EPSG:4326")


def centres(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(grid.x, grid.y)
    return x, y


def test_a_rectangle_holds_the_cells_whose_centre_lies_inside() -> None:
    mask = Region.rectangle(12_000, 30_900, 4_000, 10_000).mask(GRID)
    rows, columns = np.nonzero(mask)
    assert (columns.min(), columns.max()) == (4, 11)
    assert (rows.min(), rows.max()) == (9, 29)
    assert mask.sum() == 8 * 21


def test_regions_that_touch_share_no_cell_and_leave_none_out() -> None:
    middle = float(GRID.x[20])  # a border right through centres
    left = Region.rectangle(-1e6, -1e6, middle, 1e6).mask(GRID)
    right = Region.rectangle(middle, -1e6, 1e6, 1e6).mask(GRID)
    assert not (left & right).any()
    assert (left | right).all()
    level = float(GRID.y[7])
    south, north = Region.rectangle(-1, -1e6, 1e9, level).mask(GRID), Region.rectangle(-1, level, 1e9, 1e6).mask(GRID)
    assert (south ^ north).all()


@given(st.lists(st.tuples(st.floats(-5e3, 65e3), st.floats(-5e3, 45e3)), min_size=3, max_size=9))
@settings(max_examples=60, deadline=None)
def test_polygons_as_an_even_odd_count_per_point_says(corners: list[tuple[float, float]]) -> None:
    mask = Region.polygon(corners).mask(GRID)
    x, y = centres(GRID)
    odd = np.zeros(GRID.shape, bool)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        spans = (y0 <= y) != (y1 <= y)
        with np.errstate(all="ignore"):
            odd ^= spans & (x0 + (x1 - x0) * ((y - y0) / (y1 - y0)) <= x)
    np.testing.assert_array_equal(mask, odd)


def test_holes_and_several_polygons_as_shapely_says() -> None:
    shapely = pytest.importorskip("shapely")
    outer = [(5.013e3, 5.17e3), (50.1e3, 8.37e3), (45.7e3, 36.11e3), (9.31e3, 33.3e3)]  # no border through a centre
    hole = [(20.03e3, 14.07e3), (33.19e3, 15.3e3), (27.77e3, 27.31e3)]
    other = [(30.1e3, 20.7e3), (58.3e3, 22.9e3), (56.01e3, 38.3e3)]  # overlaps the first
    region = Region("polygon", ((np.array(outer), np.array(hole)), (np.array(other),)))
    shape = shapely.union_all([shapely.Polygon(outer, [hole]), shapely.Polygon(other)])
    expected = shapely.contains_xy(shape, *centres(GRID))
    np.testing.assert_array_equal(region.mask(GRID), expected)


def test_a_region_beside_the_grid_holds_nothing() -> None:
    assert not Region.rectangle(1e6, 1e6, 2e6, 2e6).mask(GRID).any()
    assert not Region.rectangle(3_100, 3_100, 3_200, 3_200).mask(GRID).any()  # between centres


def test_a_box_in_degrees_is_exact_on_a_projected_grid() -> None:
    lon, lat = DUTCH.lonlat(*centres(DUTCH))
    west, south, east, north = 4.0, 52.0, 5.5, 52.9
    expected = (lon >= west) & (lon < east) & (lat >= south) & (lat < north)
    mask = Region.box(west, south, east, north).mask(DUTCH)
    assert expected.sum() > 1000
    wrong = np.argwhere(mask != expected)
    near = np.minimum(np.minimum(abs(lon - west), abs(lon - east)), np.minimum(abs(lat - south), abs(lat - north)))
    assert all(near[tuple(at)] < 1e-4 for at in wrong), "metres from the border, where pieces are straight"
    assert len(wrong) <= 2


def test_longitudes_may_run_from_0_to_360_and_boxes_cross_the_date_line() -> None:
    mask = Region.box(-99.0, 36.0, -96.0, 39.0).mask(DEGREES)
    x, y = centres(DEGREES)
    np.testing.assert_array_equal(mask, (x > 261) & (x < 264) & (y > 36) & (y < 39))
    pacific = Grid.regular(left=170.0, top=5.0, dx=1.0, dy=1.0, nx=20, ny=10, crs="EPSG:4326")
    np.testing.assert_array_equal(Region.box(175, -2, -178, 2).mask(pacific).sum(axis=0), [0] * 5 + [4] * 7 + [0] * 8)


@pytest.mark.parametrize("box", [(4, 53, 5, 52), (4, 52, 4, 53), (math.nan, 52, 5, 53), (4, -91, 5, 53),
                                 (4, 52, 999, 53)])
def test_impossible_boxes_are_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        Region.box(*box)


def test_a_grid_without_projection_takes_its_own_coordinates_only() -> None:
    bare = Grid(GRID.x, GRID.y)
    assert Region.rectangle(0, 0, 5e3, 5e3).mask(bare).sum() == 25
    with pytest.raises(ValueError, match="nothing about where it lies"):
        Region.box(4, 52, 5, 53).mask(bare)


def test_fitting_moves_and_stretches() -> None:
    region = Region.polygon([(0, 0), (10, 0), (5, 20)])
    assert region.bounds == (0, 0, 10, 20)
    np.testing.assert_allclose(region.fitted(100, 50, 120, 60).polygons[0][0], [(100, 50), (120, 50), (110, 60)])


# -- files

SQUARE = [[[4.0, 52.0], [5.0, 52.0], [5.0, 53.0], [4.0, 53.0], [4.0, 52.0]]]
TRIANGLE = [[[5.2, 52.0], [6.0, 52.0, 7.5], [6.0, 52.8], [5.2, 52.0]]]


def geojson(path: Path, **top: object) -> Path:
    document = {"type": "FeatureCollection", **top, "features": [
        {"type": "Feature", "properties": {"NAME": "Square"}, "geometry": {"type": "Polygon", "coordinates": SQUARE}},
        {"type": "Feature", "properties": {"x": 1}, "geometry": {"type": "MultiPolygon", "coordinates": [TRIANGLE]}},
        {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [4, 52]}},
        {"type": "Feature", "properties": None, "geometry": None}]}
    path.write_text(json.dumps(document))
    return path


def test_geojson(tmp_path: Path) -> None:
    outlines = read_outlines(geojson(tmp_path / "basins.geojson"))
    assert outlines.names == ("Square", "outline 2")
    assert outlines.features[1].polygons[0][0].tolist() == [[5.2, 52.0], [6.0, 52.0], [6.0, 52.8]]
    both = read_region(tmp_path / "basins.geojson")
    assert (both.name, both.kind, len(both.polygons)) == ("basins", "outline", 2)
    one = read_region(tmp_path / "basins.geojson#Square")
    assert (one.name, len(one.polygons)) == ("Square", 1)
    np.testing.assert_array_equal(one.mask(DUTCH), Region.box(4, 52, 5, 53).mask(DUTCH))
    with pytest.raises(WrongUsage, match="Known: Square, outline 2"):
        read_region(tmp_path / "basins.geojson#Rhine")


def test_old_geojson_with_its_own_projection(tmp_path: Path) -> None:
    square = [[[3_950_000, 3_200_000], [4_000_000, 3_200_000], [4_000_000, 3_250_000], [3_950_000, 3_250_000]]]
    (tmp_path / "a.json").write_text(json.dumps({
        "type": "Polygon", "coordinates": square,
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3035"}}}))
    mask = read_region(tmp_path / "a.json").mask(DUTCH)
    np.testing.assert_array_equal(mask, Region.rectangle(3_950_000, 3_200_000, 4_000_000, 3_250_000).mask(DUTCH))


def test_a_shapefile_with_a_hole_and_its_projection(tmp_path: Path) -> None:
    shapefile = pytest.importorskip("shapefile")
    with shapefile.Writer(str(tmp_path / "basins.shp")) as writer:
        writer.field("BASIN", "C")
        outer = [(3_950_000, 3_200_000), (3_950_000, 3_260_000), (4_010_000, 3_260_000), (4_010_000, 3_200_000)]
        hole = [(3_970_000, 3_220_000), (3_990_000, 3_220_000), (3_990_000, 3_240_000), (3_970_000, 3_240_000)]
        writer.poly([[*outer, outer[0]], [*hole, hole[0]]])
        writer.record("Vecht")
    with pytest.raises(UnreadableInput, match=r"no \.prj"):
        read_region(tmp_path / "basins.shp")
    from pyproj import CRS

    (tmp_path / "basins.prj").write_text(CRS.from_epsg(3035).to_wkt("WKT1_ESRI"))
    region = read_region(tmp_path / "basins.shp")
    assert region.name == "Vecht"
    outside, inside = (Region.rectangle(*corners).mask(DUTCH) for corners in (
        (3_950_000, 3_200_000, 4_010_000, 3_260_000), (3_970_000, 3_220_000, 3_990_000, 3_240_000)))
    np.testing.assert_array_equal(region.mask(DUTCH), outside & ~inside)


KML = """<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark><name>Square</name>
<Polygon><outerBoundaryIs><LinearRing><coordinates>4,52,0 5,52,0 5,53,0 4,53,0 4,52,0</coordinates></LinearRing>
</outerBoundaryIs></Polygon></Placemark></Document></kml>"""


def test_kml(tmp_path: Path) -> None:
    (tmp_path / "a.kml").write_text(KML)
    region = read_region(tmp_path / "a.kml")
    assert region.name == "Square"
    np.testing.assert_array_equal(region.mask(DUTCH), Region.box(4, 52, 5, 53).mask(DUTCH))


@pytest.mark.parametrize(("body", "reason"), [
    ("", "no GeoJSON"), ("hello", "no GeoJSON"), ("{", "damaged"), ('{"type": "FeatureCollection"}', "damaged"),
    ('{"type": "Point", "coordinates": [1, 2]}', "no polygon"), ('{"a": 1}', "damaged"),
    ('{"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]}', "three corners"),
    ('{"type": "Polygon", "coordinates": [[[1, 2], [3, 4], [NaN, 1]]]}', "finite"),
    ('{"type": "Polygon", "coordinates": 7}', "damaged"), ("[" * 9000, "no GeoJSON"),
    ('{"type": "Feature", "geometry": ' * 5000, "damaged"),
    (KML.replace("<kml", '<!DOCTYPE x [<!ENTITY a "b">]><kml'), "entities"), (KML[:200], "damaged"),
    (KML.replace("5,52", "five,52"), "damaged"),
    ('{"type": "Polygon", "coordinates": [[[1,2],[3,4],[5,1]]], "crs": {"properties": {"name": "EPSG:77777"}}}',
     "unknown projection"),
])
def test_files_that_are_no_outline_are_refused_with_a_reason(tmp_path: Path, body: str, reason: str) -> None:
    (tmp_path / "x.geojson").write_text(body)
    with pytest.raises(UnreadableInput, match=reason):
        read_outlines(tmp_path / "x.geojson")


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="no such file"):
        read_region(tmp_path / "none.shp")
    pytest.importorskip("shapefile")
    (tmp_path / "cut.shp").write_bytes(b"\x00\x00\x27\x0a" + bytes(300))
    with pytest.raises(UnreadableInput, match=r"damaged|no polygon"):
        read_region(tmp_path / "cut.shp")
