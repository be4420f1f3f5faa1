"""Training packs: what is in them, the error of their codes, and that no weather is in two splits."""

from __future__ import annotations

import itertools
import pickle
from datetime import timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.cancel import CancelToken
from engine.commands import run as command
from engine.errors import Cancelled, NotEnoughInput, UnreadableInput, WrongUsage
from engine.jobs.events import Finished
from engine.jobs.pack import PackRequest, run
from engine.jobs.scope import Scope
from engine.radar.scaling import code_error_dbz, code_of_dbz, unit_pixel_of_code
from engine.training.packs import Pack, PackSettings, assigned, candidates, check_alike, cut_out, tiles
from tests import builders
from tests.engine.sequences import START, sequence


def field(index: int) -> np.ndarray:
    out = np.random.default_rng(index).gamma(0.3, 6.0, (40, 48)).astype(np.float32)
    out[0, 0] = np.nan
    return out


def archive(folder: Path, count: int = 60, missing: tuple[int, ...] = ()) -> Path:
    folder.mkdir()
    for k in range(count):
        if k not in missing:
            stored = np.random.default_rng(k).integers(0, 60, (40, 48)).astype(np.uint8)
            stored[0, 0] = 255
            builders.odim(folder / f"{k:03}.h5", [stored], [START + timedelta(minutes=5 * k)])
    return folder


def packed(tmp_path: Path, settings: PackSettings, count: int = 60) -> Pack:
    output = tmp_path / "pack.h5"
    last = list(run(PackRequest((archive(tmp_path / "a", count),), output, settings), Scope()))[-1]
    assert isinstance(last, Finished)
    return Pack(output)


@pytest.mark.parametrize("bits", [8, 16])
def test_codes_are_exact_to_half_a_step(bits: int) -> None:
    dbz = np.linspace(-9.999, 60, 100_001).astype(np.float32)
    codes = code_of_dbz(dbz, bits)
    back = unit_pixel_of_code(codes).astype(np.float64) * 70 - 10
    assert np.abs(back - dbz).max() <= code_error_dbz(bits) + 6e-6
    assert code_error_dbz(8) == pytest.approx(0.1378, abs=1e-4)
    edges = code_of_dbz(np.array([-32, -10, 60, 75, np.nan], np.float32), bits)
    top = 254 if bits == 8 else 65534
    assert edges.tolist() == [0, 0, top, top, top + 1]
    assert np.isnan(unit_pixel_of_code(edges)[-1])


@pytest.mark.parametrize("bits", [8, 16])
def test_a_pack_holds_the_frames_their_times_and_what_they_mean(tmp_path: Path, bits: int) -> None:
    pack = packed(tmp_path, PackSettings(length=5, bits=bits))
    assert len(pack) == len(pack.split("train")) + len(pack.split("validation")) + len(pack.split("test"))
    assert pack.shape == (5, 40, 48)
    assert (pack.step_minutes, pack.pixel_km) == (5.0, (2.0, 2.0))
    frames, times = pack[2]
    assert times[0] == START + timedelta(minutes=50)
    stored = np.random.default_rng(10).integers(0, 60, (40, 48)) * 0.5  # the builder's gain
    rain = pack.rain_rate(2)[0]
    assert np.isnan(rain[0, 0])
    assert np.isnan(frames[0, 0, 0])
    valid = np.ones((40, 48), bool)
    valid[0, 0] = False
    assert (rain[valid][stored[valid] == 0] == 0).all()
    wet = valid & (stored > 0)
    assert (10 * 1.6 * np.abs(np.log10(rain[wet] / stored[wet]))).max() <= code_error_dbz(bits) + 1e-4
    copy = pickle.loads(pickle.dumps(pack))
    np.testing.assert_array_equal(copy.codes(1), pack.codes(1))
    with pytest.raises(IndexError):
        pack[len(pack)]
    with pytest.raises(WrongUsage):
        pack.split("all")


@pytest.mark.parametrize("stride", [1, 3, 6])
def test_no_weather_is_in_two_splits(stride: int) -> None:
    settings = PackSettings(length=6, stride=stride, split=(0.6, 0.2, 0.2))
    one, two = sequence(field, 200, missing=(50, 51, 120)), sequence(field, 150)
    runs = candidates(one, settings, 0) + candidates(two, settings, 1)
    chosen = assigned(runs, settings, timedelta(minutes=5))
    ends = {k: max(run.end for run, split in chosen if split == k) for k in range(3)}
    starts = {k: min(run.start for run, split in chosen if split == k) for k in range(3)}
    for earlier, later in ((0, 1), (1, 2)):
        assert starts[later] - ends[earlier] >= timedelta(minutes=5) * 6
    shares = [sum(split == k for _, split in chosen) / len(chosen) for k in range(3)]
    assert shares[0] == pytest.approx(0.6, abs=0.12)
    for candidate, _ in chosen:
        times = [(one, two)[candidate.archive].frames[i].time for i in candidate.indices]
        assert all(b - a == timedelta(minutes=5) for a, b in itertools.pairwise(times))


def test_splits_at_named_times_keep_their_distance() -> None:
    cuts = (START + timedelta(hours=5), START + timedelta(hours=8))
    settings = PackSettings(length=6, stride=2, cuts=cuts)
    chosen = assigned(candidates(sequence(field, 150), settings), settings, timedelta(minutes=5))
    for run_, split in chosen:
        assert (run_.end < cuts[0], cuts[0] + timedelta(minutes=30) <= run_.start < run_.end < cuts[1],
                run_.start >= cuts[1] + timedelta(minutes=30))[split]
    assert {split for _, split in chosen} == {0, 1, 2}


def test_everything_can_be_test() -> None:
    settings = PackSettings(length=6, split=(0.0, 0.0, 1.0))
    chosen = assigned(candidates(sequence(field, 60), settings), settings, timedelta(minutes=5))
    assert [split for _, split in chosen] == [2] * 10


def test_filled_frames_are_not_learnt_from() -> None:
    from engine.radar.operations import fill_gaps

    full = fill_gaps(sequence(field, 30, missing=(12,)), "linear")
    assert all(12 not in run_.indices for run_ in candidates(full, PackSettings(length=5, stride=1)))


def test_tiles_are_centred_and_do_not_overlap() -> None:
    assert tiles((40, 48), 16) == [(4, 0, 16, 16), (4, 16, 16, 16), (4, 32, 16, 16),
                                   (20, 0, 16, 16), (20, 16, 16, 16), (20, 32, 16, 16)]
    assert tiles((40, 48), 41) == []
    assert tiles((40, 48), None) == [(0, 0, 40, 48)]


def test_the_rain_filter_counts_cells_with_data() -> None:
    frame = np.zeros((16, 16), np.float32)
    frame[:8, :8] = np.nan
    frame[:4, 8:] = 1.0
    frame[8:, :4] = 0.5
    calm = sequence([frame] * 4)
    run_ = candidates(calm, PackSettings(length=4))[0]
    share = {(0, 8): 0.5, (8, 0): 0.5, (8, 8): 0.0}

    def kept(**options: float) -> set[tuple[int, int]]:
        settings = PackSettings(length=4, tile=8, threshold=0.5, **options)  # type: ignore[arg-type]
        return {cut.origin for cut in cut_out(calm, run_, settings)}

    assert kept() == set(share)
    assert kept(least_rain=0.5) == {(0, 8), (8, 0)}
    assert kept(least_rain=0.51) == set()
    whole = PackSettings(length=4, least_rain=64 / 192, most_missing=0.25)
    assert [cut.origin for cut in cut_out(calm, run_, whole)] == [(0, 0)]
    assert not list(cut_out(calm, run_, PackSettings(length=4, most_missing=0.24)))


def test_archives_must_agree() -> None:
    one = sequence(field, 10)
    with pytest.raises(NotEnoughInput, match="step"):
        check_alike([one, sequence(field, 10, step_minutes=10)], PackSettings())
    with pytest.raises(NotEnoughInput, match="another size"):
        check_alike([one, sequence(lambda k: field(k)[:20], 10)], PackSettings())
    check_alike([one, sequence(lambda k: field(k)[:20], 10)], PackSettings(tile=16))
    with pytest.raises(NotEnoughInput, match="fits"):
        check_alike([one], PackSettings(tile=64))


@pytest.mark.parametrize("options", [{"length": 1}, {"stride": 0}, {"tile": 4}, {"bits": 12},
                                     {"split": (0.5, 0.1, 0.1)}, {"least_rain": 2.0}])
def test_senseless_settings_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(WrongUsage):
        PackSettings(**options)  # type: ignore[arg-type]


def test_a_cancelled_or_empty_pack_leaves_nothing(tmp_path: Path) -> None:
    folder, output = archive(tmp_path / "a", 30), tmp_path / "pack.h5"
    token = CancelToken()
    scope = Scope(token, lambda event: token.cancel() if "cutting" in str(event) else None)
    with pytest.raises(Cancelled):
        list(run(PackRequest((folder,), output, PackSettings(length=5)), scope))
    with pytest.raises(NotEnoughInput, match="enough rain"):
        list(run(PackRequest((folder,), output, PackSettings(length=5, threshold=900.0, least_rain=0.5)), Scope()))
    with pytest.raises(NotEnoughInput, match="without a gap"):
        list(run(PackRequest((folder,), output, PackSettings(length=50)), Scope()))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_damaged_packs_are_refused(tmp_path: Path) -> None:
    pack = packed(tmp_path, PackSettings(length=5), 20)
    pack.close()
    whole = pack.path.read_bytes()
    bad = tmp_path / "bad.h5"
    for content in (b"", b"no pack", whole[: len(whole) // 2]):
        bad.write_bytes(content)
        with pytest.raises(UnreadableInput):
            Pack(bad)
    bad.write_bytes(whole)
    with h5py.File(bad, "a") as file:
        file.attrs["version"] = 99
    with pytest.raises(UnreadableInput, match="version"):
        Pack(bad)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = archive(tmp_path / "a", 30)
    output = tmp_path / "p.h5"
    arguments = ["pack", str(folder), "-o", str(output), "--length", "5", "--tile", "16", "--bits", "16", "--json"]
    assert command(arguments) == 0
    assert '"sequences"' in capsys.readouterr().out
    pack = Pack(output)
    assert pack.shape == (5, 16, 16)
    assert {pack.origin(i) for i in range(6)} == {(4, 0), (4, 16), (4, 32), (20, 0), (20, 16), (20, 32)}
    assert command([*arguments, "--test-from", "2020-07-01"]) == 2
    assert command([*arguments, "--split", "1,2"]) == 2
