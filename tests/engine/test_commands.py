"""The command line as scripts use it: JSON on stdout alone, the contract's exit codes, nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import resources
from engine import commands
from engine.archives import open_archive
from engine.jobs.sample import SampleRequest
from engine.jobs.sample import run as write_sample
from engine.jobs.scope import Scope

Answer = tuple[int, Any, str]
Call = Callable[..., Answer]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command; (exit code, JSON answer or None, what stood on stderr)."""

    def run(*arguments: object) -> Answer:
        code = commands.run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        asked = "--json" in arguments
        return code, json.loads(out) if asked and out else None, err

    return run


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 16 single-time ODIM files, 64 x 64 cells."""
    folder = tmp_path_factory.mktemp("storm") / "archive"
    for _ in write_sample(SampleRequest(output=folder, frames=16, size=(64, 64), seed=3), Scope()):
        pass
    return folder


def copied(storm: Path, to: Path, without: tuple[int, ...] = ()) -> Path:
    to.mkdir()
    for number, file in enumerate(sorted(storm.iterdir())):
        if number not in without:
            (to / file.name).write_bytes(file.read_bytes())
    return to


def test_info_answers_with_the_contracts_keys(call: Call, storm: Path) -> None:
    code, answer, _ = call("info", storm, "--json")
    assert code == 0
    assert {"format", "variable", "unit", "frames", "start", "end", "step_minutes", "shape", "pixel_km", "projection",
            "missing_fraction", "max", "gaps", "skipped"} <= set(answer)
    assert (answer["frames"], answer["step_minutes"], answer["shape"]) == (16, 6.0, [64, 64])
    assert answer["synthetic"] is True
    assert answer["gaps"] == answer["skipped"] == []


def test_models_is_a_list_of_the_contracts_rows(call: Call) -> None:
    code, answer, _ = call("models", "--json")
    assert code == 0
    by_name = {model["name"]: model for model in answer}
    assert {"persistence", "rover-linear", "rover-nonlinear"} <= set(by_name)
    for model in answer:
        assert {"name", "kind", "family", "parameters", "weights", "needs"} <= set(model)
    assert by_name["persistence"]["parameters"] == 0


def test_forecast_then_verify(call: Call, storm: Path, tmp_path: Path) -> None:
    output = tmp_path / "forecast.nc"
    code, answer, _ = call("forecast", storm, "--forecaster", "rover-nonlinear", "--index", 7, "--lead-times", 6,
                           "-o", output, "--json")
    assert code == 0
    assert answer["lead_times_min"] == [6.0 * k for k in range(1, 7)]
    assert answer["output"] == str(output)
    assert answer["reference_time"] == open_archive(storm).times[7].strftime("%Y-%m-%dT%H:%M:%SZ")
    code, scores, _ = call("verify", output, "--against", storm, "--json")
    assert code == 0
    assert scores["thresholds_mm_h"] == [0.5, 2, 5, 10, 30]
    assert scores["lead_times_min"] == answer["lead_times_min"]
    for name in ("csi", "hss", "pod", "far", "bias"):
        assert [len(row) for row in scores[name]] == [6] * 5
    for name in ("mse", "mae", "b_mse", "b_mae"):
        assert len(scores[name]) == 6
    tp, fn, fp = (scores["counts"][name][0][0] for name in ("tp", "fn", "fp"))
    assert scores["csi"][0][0] == pytest.approx(tp / (tp + fn + fp))


def test_a_forecast_opens_as_an_archive(call: Call, storm: Path, tmp_path: Path) -> None:
    output = tmp_path / "forecast.nc"
    assert call("forecast", storm, "--forecaster", "persistence", "--lead-times", 3, "-o", output)[0] == 0
    code, answer, _ = call("info", output, "--json")
    assert (code, answer["frames"], answer["step_minutes"], answer["synthetic"]) == (0, 3, 6.0, True)


def test_a_time_names_the_reference_too(call: Call, storm: Path, tmp_path: Path) -> None:
    time = open_archive(storm).times[9]
    _, answer, _ = call("forecast", storm, "--forecaster", "persistence", "--at", f"{time:%Y-%m-%dT%H:%M}",
                        "-o", tmp_path / "f.nc", "--json")
    assert answer["reference_time"] == f"{time:%Y-%m-%dT%H:%M:%SZ}"


def test_export_writes_what_it_says(call: Call, storm: Path, tmp_path: Path) -> None:
    forecast, film = tmp_path / "forecast.nc", tmp_path / "film.gif"
    call("forecast", storm, "--forecaster", "persistence", "--index", 7, "--lead-times", 3, "-o", forecast)
    code, answer, _ = call("export", storm, "--forecast", forecast, "-o", film, "--size", "640x360", "--json")
    assert code == 0
    assert Path(answer["output"]) == film
    assert film.read_bytes()[:4] == b"GIF8"


def test_sample_writes_an_archive(call: Call, tmp_path: Path) -> None:
    code, _, _ = call("sample", "-o", tmp_path / "new.h5", "--frames", 2, "--size", "64x96", "--seed", 1, "--json")
    assert code == 0
    assert open_archive(tmp_path / "new.h5").grid.shape == (64, 96)


@pytest.mark.parametrize("arguments", [
    (), ("nonsense",), ("forecast", "x"), ("info",), ("verify", "f.nc", "--against", "x", "--thresholds", "2,1"),
    ("verify", "f.nc", "--against", "x", "--thresholds", "rain"), ("sample", "-o", "x", "--size", "big"),
    ("forecast", "x", "--forecaster", "persistence", "--at", "yesterday", "-o", "y.nc"),
])
def test_wrong_usage_ends_with_2(call: Call, arguments: tuple[str, ...]) -> None:
    code, answer, err = call(*arguments)
    assert (code, answer) == (2, None)
    assert err


def test_an_unknown_forecaster_is_wrong_usage_with_a_hint(call: Call, storm: Path, tmp_path: Path) -> None:
    code, answer, err = call("forecast", storm, "--forecaster", "rover-nonlinaer", "-o", tmp_path / "f.nc", "--json")
    assert (code, answer) == (2, None)
    assert "rover-nonlinear" in err


def test_unreadable_input_ends_with_3_and_names_file_and_reason(call: Call, storm: Path, tmp_path: Path) -> None:
    text = tmp_path / "radar.h5"
    text.write_text("this is no radar file\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    whole = next(iter(sorted(storm.iterdir())))
    cut = tmp_path / "cut.h5"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    for path in (text, empty, cut, tmp_path / "nowhere"):
        code, answer, err = call("info", path, "--json")
        assert (code, answer) == (3, None)
        assert path.name in err.replace("\n", "")
        code, answer, _ = call("forecast", path, "--forecaster", "persistence", "-o", tmp_path / "f.nc", "--json")
        assert (code, answer) == (3, None)
    assert not (tmp_path / "f.nc").exists()


def test_a_gap_in_the_inputs_ends_with_4_and_names_the_time(call: Call, storm: Path, tmp_path: Path) -> None:
    gapped = copied(storm, tmp_path / "gapped", without=(5,))
    time = open_archive(storm).times[5]
    _, answer, _ = call("info", gapped, "--json")
    assert answer["gaps"] == [{"after": f"{open_archive(storm).times[4]:%Y-%m-%dT%H:%M:%SZ}",
                               "before": f"{open_archive(storm).times[6]:%Y-%m-%dT%H:%M:%SZ}", "missing": 1}]
    code, _, err = call("forecast", gapped, "--forecaster", "persistence", "--index", 6, "-o", tmp_path / "f.nc")
    assert code == 4
    assert f"{time:%H:%M}" in err
    assert not (tmp_path / "f.nc").exists()


def test_too_little_input_ends_with_4(call: Call, storm: Path, tmp_path: Path) -> None:
    one = next(iter(sorted(storm.iterdir())))
    for arguments in ((one,), (storm, "--index", 1), (storm, "--at", "1999-01-01T00:00")):
        code, _, _ = call("forecast", *arguments, "--forecaster", "rover-linear", "-o", tmp_path / "f.nc")
        assert code == 4


def test_one_bad_file_among_good_ones_is_skipped_and_shown(call: Call, storm: Path, tmp_path: Path) -> None:
    mixed = copied(storm, tmp_path / "mixed", without=(3,))
    (mixed / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    code, answer, _ = call("info", mixed, "--json")
    assert (code, answer["frames"]) == (0, 15)
    assert [Path(entry["file"]).name for entry in answer["skipped"]] == ["broken.h5"]
    assert answer["skipped"][0]["reason"]
    assert len(answer["gaps"]) == 1


def test_nothing_observed_ends_with_4(call: Call, storm: Path, tmp_path: Path) -> None:
    output = tmp_path / "late.nc"
    assert call("forecast", storm, "--forecaster", "persistence", "--lead-times", 2, "-o", output)[0] == 0
    assert call("verify", output, "--against", storm)[0] == 4


def test_the_embedded_sample_opens_and_is_labelled(call: Call) -> None:
    sequence = open_archive(resources.sample_archive())
    assert sequence.layout.synthetic
    assert len(sequence) >= 60
    assert min(sequence.grid.shape) >= 256
    assert sequence.step_minutes == 6.0
    assert sum(f.stat().st_size for f in resources.path("samples").rglob("*") if f.is_file()) <= 3_000_000
