"""Scores of a region after the first pass, against comparing the region's pixels anew.

Both sides are measured in the same run by CPU time; the ratio is judged, and the goal of 100 ms with room for a
busy machine.
"""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from engine.radar.grid import Grid
from engine.radar.region import Region
from engine.radar.scaling import RAIN_CLASSES
from engine.radar.units import MARSHALL_PALMER
from engine.verification.counts import tally_pair
from engine.verification.table import ScoreTable
from engine.verification.tiles import region_tally, select, tile_pair
from tests.benchmarks.measure import best_of
from tests.benchmarks.test_verification_speed import SHAPE, Rates, fields

__all__ = ["fields"]
GRID = Grid.regular(left=0.0, top=900_000.0, dx=1000.0, dy=1000.0, nx=SHAPE[1], ny=SHAPE[0])
ANGLES = np.linspace(0, 2 * np.pi, 60, endpoint=False)
STAR = Region.polygon([(450e3 + 300e3 * (1 + 0.3 * np.sin(9 * a)) * np.cos(a), 450e3 + 400e3 * np.sin(a))
                       for a in ANGLES])
REGIONS = {"rectangle": Region.rectangle(100_300, 120_400, 800_200, 700_100), "polygon": STAR}


@pytest.mark.parametrize("name", REGIONS)
def test_a_region_of_twenty_frames(benchmark, fields: tuple[Rates, Rates], name: str) -> None:
    observed, predicted = fields
    pairs = [*zip(observed, predicted, strict=True)]
    region = REGIONS[name]
    first = [tile_pair(truth, forecast, RAIN_CLASSES, zr=MARSHALL_PALMER) for truth, forecast in pairs[:5]]
    tiles = first * (len(pairs) // 5)  # the fields are five, repeated

    def rescored() -> ScoreTable:
        """Everything that follows a mouse move: cells of the region, counts, errors, scores."""
        selection = select(region.mask(GRID), SHAPE)
        table = ScoreTable(RAIN_CLASSES)
        for lead, (kept, (truth, forecast)) in enumerate(zip(tiles, pairs, strict=True)):
            table.add(lead, region_tally(kept, selection, truth, forecast))
        table.to_json()
        return table

    def anew() -> ScoreTable:
        mask = region.mask(GRID)
        table = ScoreTable(RAIN_CLASSES)
        for lead, (truth, forecast) in enumerate(pairs):
            table.add(lead, tally_pair(truth, forecast, zr=MARSHALL_PALMER, valid=mask))
        table.to_json()
        return table

    fast, slow = rescored(), anew()
    for kind, counts in slow.counts().items():
        np.testing.assert_array_equal(fast.counts()[kind], counts)
    for mine, theirs in zip(fast.tallies, slow.tallies, strict=True):
        assert mine is not None
        assert theirs is not None
        np.testing.assert_allclose(astuple(mine.sums), astuple(theirs.sums), rtol=1e-9)
    best = best_of(5, {"rescored": rescored, "anew": anew})
    benchmark.extra_info.update({key: round(seconds * 1000, 1) for key, seconds in best.items()})
    benchmark.extra_info["ratio"] = round(best["anew"] / best["rescored"], 1)
    benchmark.pedantic(rescored, rounds=3)
    assert best["anew"] / best["rescored"] >= 5, best
    assert best["rescored"] < 0.1, best
