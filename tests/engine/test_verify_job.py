"""The job that scores forecast files: matching by valid time, pooling, what is missing, what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.archives import open_archive
from engine.cancel import CancelToken
from engine.errors import Cancelled, NotEnoughInput, WrongUsage
from engine.export.forecast_file import ForecastWriter
from engine.jobs import verify
from engine.jobs.events import Finished, ScoreReady, Warned
from engine.jobs.scope import Scope
from engine.jobs.verify import VerifyRequest, check_thresholds
from engine.radar.forecast import ForecastHeader
from engine.radar.grid import Grid
from engine.radar.scaling import RAIN_CLASSES, unit_pixel
from engine.radar.sequence import FrameRef, Layout, RadarSequence, Skipped
from engine.radar.units import HKO7, MARSHALL_PALMER, ZR, Quantity
from engine.verification import fields
from engine.verification.counts import tally_pair
from engine.verification.images import gdl, ssim
from engine.verification.neighbourhood import fractions
from engine.verification.objects import sal
from engine.verification.spectrum import power_spectrum

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
SHAPE = (12, 14)


def grid(left: float = 0.0) -> Grid:
    return Grid.regular(left=left, top=0.0, dx=1000.0, dy=1000.0, nx=SHAPE[1], ny=SHAPE[0], crs="EPSG:3035")


def rain(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(0.5, 6.0, SHAPE).astype(np.float32)


@dataclass(frozen=True)
class Header:
    grid: Grid
    zr: ZR = MARSHALL_PALMER
    forecaster: str = "persistence"


@dataclass(frozen=True)
class Stored:
    header: Header
    lead_minutes: tuple[float, ...]
    valid_times: tuple[datetime, ...]
    frames: tuple[np.ndarray, ...]
    path: Path = Path("forecast.nc")

    def frame(self, index: int) -> np.ndarray:
        return self.frames[index]


def forecast(leads=(5, 10, 15), *, at=0, seed=100, **header) -> Stored:
    times = tuple(START + timedelta(minutes=at + lead) for lead in leads)
    return Stored(Header(**({"grid": grid()} | header)), tuple(map(float, leads)), times,
                  tuple(rain(seed + lead) for lead in leads))


def archive(minutes=(0, 5, 10, 15, 20), quantity=Quantity.RAIN_RATE, skipped=()) -> RadarSequence:
    layout = Layout("test", "rain", quantity, quantity.unit, grid())
    frames = tuple(FrameRef(START + timedelta(minutes=m), Path("observed"), m) for m in minutes)
    return RadarSequence(layout, frames, lambda ref, _: rain(ref.key), skipped, "the archive")


@pytest.fixture
def score(monkeypatch):
    """Runs the job over forecasts and an archive that exist in memory only."""
    def run(forecasts, observed, scope=None, **options):
        monkeypatch.setattr(verify, "_open", lambda paths, scope: iter(forecasts))
        monkeypatch.setattr(verify, "open_archive", lambda paths, **how: observed)
        request = VerifyRequest((Path("f.nc"),), (Path("a"),), **options)
        return list(verify.run(request, scope or Scope()))
    return run


def test_each_lead_time_is_compared_with_the_frame_of_its_valid_time(score):
    events = score([forecast()], archive())
    assert [type(e) for e in events] == [ScoreReady] * 3 + [Finished]
    for event, lead in zip(events, (5, 10, 15), strict=False):
        expected = tally_pair(rain(lead), rain(100 + lead), zr=MARSHALL_PALMER)
        assert (event.lead_index, event.lead_minutes) == (lead // 5 - 1, lead)
        assert (event.tally.joint == expected.joint).all()
        assert event.tally.sums == expected.sums
    document = events[-1].result
    assert document["lead_times_min"] == [5, 10, 15]
    assert document["thresholds_mm_h"] == list(RAIN_CLASSES)
    tp = ((rain(10) >= 5) & (rain(110) >= 5)).sum()
    assert document["counts"]["tp"][2][1] == tp
    assert document["mse"][0] == pytest.approx(fields.mse(events[0].tally))
    assert document["forecasts"] == 1
    assert document["zr"] == {"a": 200.0, "b": 1.6}
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_scores_of_whole_frames_come_when_asked_for(score):
    events = score([forecast(), forecast(at=5, seed=200)], archive(), fields=True)
    found = events[-1].result["fields"]
    pairs = {5: [(rain(5), rain(105)), (rain(10), rain(205))], 15: [(rain(15), rain(115)), (rain(20), rain(215))]}
    for place, lead in ((0, 5), (2, 15)):
        units = [[unit_pixel(field, MARSHALL_PALMER) for field in pair] for pair in pairs[lead]]
        assert found["ssim"][place] == pytest.approx(np.mean([ssim(*pair) for pair in units]))
        assert found["gdl"][place] == pytest.approx(np.mean([gdl(*pair) for pair in units]))
        assert found["sal_amplitude"][place] == pytest.approx(np.mean([sal(*pair).amplitude for pair in pairs[lead]]))
        whole = fractions(*pairs[lead][0], 5.0, 9) + fractions(*pairs[lead][1], 5.0, 9)
        assert found["fss"][3][2][place] == pytest.approx(whole.score)
        spectra = [[power_spectrum(field, (1.0, 1.0)) for field in pair] for pair in pairs[lead]]
        power = [sum(pair[k].power for pair in spectra) for k in (0, 1)]
        assert found["power_ratio"][place] == pytest.approx(list(power[1] / power[0]))
    assert found["fss_sides_km"][:2] == pytest.approx([1.0, 3.0])
    assert len(found["frames"]) == 6
    first = found["frames"][0]
    assert first["valid_time"].startswith("2026-06-01T12:05")
    assert first["lead_time_min"] == 5
    one = tally_pair(rain(5), rain(105), zr=MARSHALL_PALMER)
    assert first["mse"] == pytest.approx(fields.mse(one))
    table = one.contingency()
    assert first["pod"][1] == pytest.approx(float(table.tp[1] / (table.tp[1] + table.fn[1])))
    json.dumps(events[-1].result, allow_nan=False)
    assert "fields" not in score([forecast()], archive())[-1].result


def test_classes_and_means_over_thresholds(score):
    document = score([forecast()], archive())[-1].result
    truth = np.concatenate([rain(5), rain(10), rain(15)])
    shares = np.histogram(truth, [0, *RAIN_CLASSES, np.inf])[0] / truth.size
    assert document["classes"]["observed"] == pytest.approx(shares)
    assert sum(document["classes"]["predicted"]) == pytest.approx(1)
    defined = [row[1] for row in document["csi"] if row[1] is not None]
    assert document["over_thresholds"]["csi"][1] == pytest.approx(np.mean(defined))


def test_forecasts_are_pooled_per_lead_time(score):
    events = score([forecast(), forecast(at=5, seed=200)], archive())
    scored = [e for e in events if isinstance(e, ScoreReady)]
    pooled = tally_pair(rain(5), rain(105), zr=HKO7) + tally_pair(rain(10), rain(205), zr=HKO7)
    newest = [e for e in scored if e.lead_minutes == 5][-1]
    assert (newest.tally.joint == pooled.joint).all()
    document = events[-1].result
    assert document["frames"] == [2, 2, 2]
    assert document["forecasts"] == 2
    csi = pooled.contingency((2.0,))
    assert document["csi"][1][0] == pytest.approx(int(csi.tp[0]) / int((csi.tp + csi.fn + csi.fp)[0]))


def test_a_perfect_forecast(score):
    perfect = Stored(Header(grid()), (5.0,), (START + timedelta(minutes=5),), (rain(5),))
    document = score([perfect], archive())[-1].result
    assert [row[0] for row in document["hss"]] == [1.0] * 5
    assert [row[0] for row in document["far"]] == [0.0] * 5
    assert document["b_mse"] == [0.0]


def test_a_lead_time_without_observation_is_empty_and_said(score):
    events = score([forecast()], archive((0, 5, 15, 20)))
    document = events[-1].result
    assert document["missing_leads_min"] == [10.0]
    assert [row[1] for row in document["csi"]] == [None] * 5
    assert document["mae"][1] is None
    assert document["mae"][2] is not None
    assert any("10 min" in e.text for e in events if isinstance(e, Warned))


def test_frames_between_the_observed_times_have_no_truth(score):
    document = score([forecast((2, 5))], archive())[-1].result
    assert document["missing_leads_min"] == [2.0]


def test_an_archive_of_one_frame_is_enough(score):
    assert score([forecast()], archive((10,)))[-1].result["missing_leads_min"] == [5.0, 15.0]


def test_nothing_observed_names_both_times(score):
    with pytest.raises(NotEnoughInput, match=r"the archive \(2026-06-01 12:00 to .*12:20 UTC\).*13:45 to .*13:55") as e:
        score([forecast(at=100)], archive())
    assert e.value.exit_code == 4


def test_nothing_valid_in_common(score):
    blank = Stored(Header(grid()), (5.0,), (START + timedelta(minutes=5),), (np.full(SHAPE, np.nan, np.float32),))
    with pytest.raises(NotEnoughInput, match="no valid pixel"):
        score([blank], archive())


def test_another_grid_is_refused_by_name(score):
    with pytest.raises(NotEnoughInput, match=r"forecast\.nc .*the archive"):
        score([forecast(), forecast(grid=grid(left=500.0))], archive())


def test_an_ensemble_is_scored_by_its_mean_where_every_member_has_data(score):
    members = np.stack([rain(1), rain(2), rain(3)])
    members[1, 0, 0] = np.nan
    stored = Stored(Header(grid()), (5.0,), (START + timedelta(minutes=5),), (members,))
    events = score([stored], archive())
    expected = tally_pair(rain(5), members.mean(axis=0), zr=HKO7)
    assert (events[0].tally.joint == expected.joint).all()
    assert events[-1].result["pixels"] == [SHAPE[0] * SHAPE[1] - 1]


def test_the_members_of_an_ensemble_are_scored_too(score):
    """Against the double sum of the CRPS, counted ranks, and the share of members by hand."""
    members = np.stack([rain(1), rain(2), rain(3)])
    stored = [Stored(Header(grid()), (5.0,), (START + timedelta(minutes=5 + at),), (members,)) for at in (0, 5)]
    found = score(stored, archive())[-1].result["ensemble"]
    truths = [rain(5), rain(10)]
    crps = np.mean([np.abs(members - truth).mean(0) - np.abs(members[:, None] - members[None]).mean((0, 1)) / 2
                    for truth in truths])
    assert found["members"] == 3
    assert found["crps"][0] == pytest.approx(crps, rel=1e-6)
    assert sum(found["rank_histogram"][0]) == sum(((t >= 0.1) | (members >= 0.1).any(0)).sum() for t in truths)
    chance = (members >= 2).mean(0)
    brier = np.mean([(chance - (truth >= 2)) ** 2 for truth in truths])
    assert found["brier"][RAIN_CLASSES.index(2.0)][0] == pytest.approx(brier, rel=1e-6)
    assert 0.4 < found["roc_area"][0][0] < 0.6  # members that know nothing
    whole = found["reliability"][0][0]
    assert sum(whole["cells"]) == 2 * SHAPE[0] * SHAPE[1]
    assert score([forecast()], archive())[-1].result["ensemble"] is None


def test_the_forecasts_z_r_pair_turns_the_observed_reflectivity_into_rain(score):
    observed = archive(quantity=Quantity.REFLECTIVITY)
    event = score([forecast(zr=HKO7)], observed)[0]
    assert (event.tally.joint == tally_pair(HKO7.rain_rate(rain(5)), rain(105), zr=HKO7).joint).all()
    with pytest.raises(WrongUsage, match=r"58\.53"):
        score([forecast(zr=HKO7), forecast()], observed)


def test_pooling_compares_maxima_of_windows(score):
    document = score([forecast()], archive(), pool=4)[-1].result
    assert document["pool"] == 4
    assert document["pixels"] == [3 * 4] * 3
    windows = [np.s_[r:r + 4, c:c + 4] for r in range(0, 12, 4) for c in range(0, 14, 4)]
    hits = sum(bool(rain(5)[w].max() >= 30 and rain(105)[w].max() >= 30) for w in windows)
    assert document["counts"]["tp"][4][0] == hits


def test_thresholds_that_are_no_default_edges_are_exact(score):
    document = score([forecast()], archive(), thresholds=(0.33, 7.7))[-1].result
    assert document["counts"]["fn"][1][0] == ((rain(5) >= 7.7) & (rain(105) < np.float32(7.7))).sum()


@pytest.mark.parametrize("thresholds", [(), (0.0,), (-1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (float("nan"),),
                                        (float("inf"),), (1.0, 1.0001, 1.0002), (1e6,)])
def test_thresholds_must_make_sense(thresholds):
    with pytest.raises(WrongUsage) as problem:
        check_thresholds(thresholds)
    assert problem.value.exit_code == 2


@pytest.mark.parametrize("request_", [VerifyRequest((), (Path("a"),)), VerifyRequest((Path("f"),), ()),
                                      VerifyRequest((Path("f"),), (Path("a"),), pool=0)])
def test_empty_requests_are_wrong_usage(request_):
    with pytest.raises(WrongUsage):
        list(verify.run(request_, Scope()))


def test_skipped_files_and_mixed_forecasters_are_said(score):
    observed = archive(skipped=(Skipped("broken.h5", "truncated"),))
    events = score([forecast(), forecast(forecaster="rover-linear")], observed)
    texts = [e.text for e in events if isinstance(e, Warned)]
    assert any("broken.h5" in text for text in texts)
    assert any("persistence, rover-linear" in text for text in texts)


def test_cancelling_stops_between_frames(score):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        score([forecast()], archive(), scope=Scope(token))


def test_progress_ends_at_one(score):
    said = []
    score([forecast()], archive(), scope=Scope(emit=said.append))
    assert said[0].fraction == 0.0
    assert said[-1].fraction == 1.0


def test_files_from_end_to_end(tmp_path):
    """Forecast files on disk, scored against another forecast file that serves as the archive."""

    def write(name: str, seed: int) -> Path:
        header = ForecastHeader(
            grid=grid(), zr=HKO7, reference_time=START, step_minutes=5.0, forecaster="persistence", deblurrer="",
            downscaler="", weights_sha256="", title="test", source="test", synthetic=True, history="test", members=None)
        with ForecastWriter(tmp_path / name, header) as writer:
            for lead in (5, 10, 15):
                writer.write(float(lead), rain(seed + lead))
        return tmp_path / name

    forecast_file, truth = write("forecast.nc", 100), write("truth.nc", 0)
    events = list(verify.run(VerifyRequest((forecast_file,), (truth,)), Scope()))
    tallies = [event.tally for event in events if isinstance(event, ScoreReady)]
    for tally, lead in zip(tallies, (5, 10, 15), strict=True):
        assert (tally.joint == tally_pair(rain(lead), rain(100 + lead), zr=HKO7).joint).all()
    assert events[-1].result["zr"] == {"a": pytest.approx(58.53), "b": pytest.approx(1.56)}


@pytest.mark.realdata
def test_real_files_from_end_to_end(real_data, tmp_path):
    """Persistence over KNMI files: counts straight from the stored integers, 0.01 mm in five minutes each."""
    files = sorted((real_data / "knmi" / "2010-08-26").glob("*.h5"))[20:24]
    sequence = open_archive(files)
    header = ForecastHeader(grid=sequence.grid, zr=sequence.zr, reference_time=sequence.times[0], step_minutes=5.0,
                            forecaster="persistence")
    with ForecastWriter(tmp_path / "f.nc", header) as writer:
        for lead in (5.0, 10.0, 15.0, 20.0):
            writer.write(lead, sequence.rain_rate(0))
    document = list(verify.run(VerifyRequest((tmp_path / "f.nc",), tuple(files)), Scope()))[-1].result
    stored = []
    for path in files:
        with h5py.File(path) as file:
            stored.append(file["image1/image_data"][()].astype(np.int64))
    for lead in range(3):
        valid = (stored[0] != 65535) & (stored[lead + 1] != 65535)
        assert document["pixels"][lead] == valid.sum()
        for row, limit in enumerate((50, 200, 500, 1000, 3000)):  # 100 R: 12 PV >= limit
            seen, foreseen = stored[lead + 1] * 12 >= limit, stored[0] * 12 >= limit
            assert document["counts"]["tp"][row][lead] == (seen & foreseen & valid).sum()
            assert document["counts"]["fp"][row][lead] == (~seen & foreseen & valid).sum()
            assert document["counts"]["fn"][row][lead] == (seen & ~foreseen & valid).sum()
    assert document["missing_leads_min"] == [20.0]
