"""The Z-R relation against its formula and published pairs."""

from __future__ import annotations

import numpy as np
import pytest

from engine.radar.units import HKO7, MARSHALL_PALMER, NO_ECHO_DBZ, ZR, Quantity

PAIRS = [MARSHALL_PALMER, HKO7, ZR(316, 1.5), ZR(223, 1.53), ZR(256, 1.42), ZR(300, 1.4)]


@pytest.mark.parametrize(("rate", "dbz"), [(0.5, 12.98), (2, 22.37), (5, 28.58), (10, 33.27), (30, 40.72)])
def test_hong_kongs_table(rate, dbz):
    assert HKO7.dbz_of(rate) == pytest.approx(dbz, abs=0.006)


@pytest.mark.parametrize(("rate", "dbz"), [(0.5, 19.81), (2, 28.36), (5, 34.01), (10, 38.28), (30, 45.06)])
def test_the_german_thresholds(rate, dbz):
    """Z = 256 R^1.42, thresholds as used with DWD data in the focal-frame-loss literature."""
    assert ZR(256, 1.42).dbz_of(rate) == pytest.approx(dbz, abs=0.006)


def test_marshall_and_palmer_at_one_millimetre():
    assert MARSHALL_PALMER.dbz_of(1.0) == pytest.approx(10 * np.log10(200))
    assert MARSHALL_PALMER.rain_rate(np.array([23.0103]))[0] == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("zr", PAIRS, ids=str)
def test_the_formula_and_its_inverse(zr):
    rates = np.geomspace(0.01, 500, 300)
    dbz = zr.dbz(rates)
    inside = dbz > NO_ECHO_DBZ
    np.testing.assert_allclose(dbz[inside], 10 * np.log10(zr.a * rates**zr.b)[inside], atol=2e-4)
    np.testing.assert_allclose(zr.rain_rate(dbz)[inside], rates[inside], rtol=1e-4)
    assert dbz.dtype == zr.rain_rate(dbz).dtype == np.float32


@pytest.mark.parametrize("zr", PAIRS, ids=str)
def test_no_echo_and_no_data(zr):
    assert zr.rain_rate(np.array([NO_ECHO_DBZ, -40.0, -np.inf])).tolist() == [0.0, 0.0, 0.0]
    assert zr.dbz(np.array([0.0, -1.0])).tolist() == [NO_ECHO_DBZ, NO_ECHO_DBZ]
    assert np.isnan(zr.rain_rate(np.array([np.nan])))[0]
    assert np.isnan(zr.dbz(np.array([np.nan])))[0]


def test_a_pair_must_be_positive():
    for a, b in ((0, 1.6), (200, -1), (float("nan"), 1.6)):
        with pytest.raises(ValueError, match="positive"):
            ZR(a, b)


def test_words():
    assert str(HKO7) == "Z = 58.53 R^1.56"
    assert Quantity.RAIN_RATE.unit == "mm/h"
    assert Quantity.REFLECTIVITY.unit == "dBZ"
