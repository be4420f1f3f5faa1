"""The papers' claims in small: the same data, steps and seeds for each variant; writes a part of docs/experiments.md.

    python packaging/experiments.py --pack a.h5 --pack b.h5 --work out/experiments [--seeds 0-2] [--steps 200]

A run that is finished is not made again. Each is trained by a recipe of its own (kept in --work) and scored on the
packs' validation sequences, which none of them learns from.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page_parts import put

PAGE = Path(__file__).resolve().parent.parent / "docs" / "experiments.md"
PART = "in small"
PLAIN = '{name = "mae"}, {name = "mse"}'
BALANCED = '{name = "b-mse"}, {name = "b-mae"}'
CASCADE = """{name = "mae", readout = 0, weight = 1.0, to = 0.01, epochs = EPOCHS},
  {name = "mse", readout = 0, weight = 1.0, to = 0.01, epochs = EPOCHS},
  {name = "mae", readout = -1, weight = 0.01, to = 1.0, epochs = EPOCHS},
  {name = "mse", readout = -1, weight = 0.01, to = 1.0, epochs = EPOCHS},
  {name = "gdl", weight = 0.001}"""


@dataclass(frozen=True)
class Variant:
    """after: another variant whose weights it starts from and keeps as they are."""

    key: str
    title: str
    model: str
    hidden: int
    terms: str
    focal: bool = False
    after: str = ""


VARIANTS = (
    Variant("convlstm", "ConvLSTM, B-MSE + B-MAE", "stacked-convlstm", 12, BALANCED),
    Variant("convlstm-ffl", "the same, focal frame loss", "stacked-convlstm", 12, BALANCED, focal=True),
    Variant("ms", "MS-ConvLSTM, MSE + MAE", "ms-convlstm", 8, PLAIN),
    Variant("ms-balanced", "the same, B-MSE + B-MAE", "ms-convlstm", 8, BALANCED),
    Variant("staged", "MS-ConvLSTM, then a deblurring network", "ms-convlstm-s", 8, PLAIN, after="ms"),
    Variant("db", "DB-ConvLSTM, end to end", "db-convlstm", 8, CASCADE),
)


def recipe(variant: Variant, steps: int, epochs: float) -> str:
    """Pieces of 48 cells, five frames to five, Adam."""
    freeze = 'freeze = ["forecasting."]\n' if variant.after else ""
    focal = "focal_k = 2.0\nfocal_epsilon = 0.01\n" if variant.focal else ""
    terms = variant.terms.replace("EPOCHS", f"{epochs:.3f}")
    return (f'name = "{variant.key}"\n[model]\nname = "{variant.model}"\nhidden = {variant.hidden}\n{freeze}'
            "[data]\ninputs = 5\nleads = 5\ncrop = 48\nrain_bias = 0.5\n[augment]\nflips = true\nturns = true\n"
            f'[loss]\nterms = [{terms}]\nover = "all"\n{focal}'
            '[optimiser]\nname = "adam"\nlr = 2e-3\nclip = 1000.0\nwarm_up = 20\nshape = "cosine"\n'
            f"[run]\nsteps = {steps}\nbatch = 4\nvalidate_every = {steps}\nsave_every = {steps}\nvalidation = 0\n")


def trained(variant: Variant, seed: int, steps: int, packs: Sequence[str], work: Path) -> dict[str, Any]:
    """The scores of the last validation, by name of the forecaster."""
    folder = work / f"{variant.key}-{seed}"
    curves = folder / "curves.jsonl"
    if not _done(curves, steps):
        written = work / f"{variant.key}.toml"
        written.write_text(recipe(variant, steps, 0.8 * steps * 4 / _sequences(packs)), encoding="utf-8")
        asked = [sys.executable, "-m", "engine", "train", str(written), "-o", str(folder), "--seed", str(seed)]
        asked += [word for pack in packs for word in ("--pack", pack)]
        if variant.after:
            asked += ["--start-from", str(work / f"{variant.after}-{seed}" / f"{variant.after}.safetensors")]
        subprocess.run(asked, check=True, stdout=subprocess.DEVNULL)
    return dict(_done(curves, steps))


def _sequences(packs: Sequence[str]) -> int:
    from engine.training.packs import Pack

    return sum(len(Pack(Path(pack)).split("train")) for pack in packs)


def _done(curves: Path, steps: int) -> dict[str, Any]:
    """Empty where the run has not come to its end."""
    if not curves.is_file():
        return {}
    rows = [json.loads(row) for row in curves.read_text(encoding="utf-8").splitlines()]
    return next((row["validation"] for row in rows if row["step"] == steps and "validation" in row), {})


def table(scores: dict[str, list[dict[str, Any]]], titles: dict[str, str]) -> list[str]:
    """Means and standard deviations over the seeds."""
    lines = ["| | " + " | ".join(name for name, _ in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for key, title in titles.items():
        cells = [_cell([reading(one) for one in scores[key]]) for _, reading in COLUMNS]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def _cell(values: list[float]) -> str:
    digits = 3 if max(values) < 2 else 0
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(set(values)) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def _csi(row: int) -> Any:
    return lambda score: statistics.fmean(value for value in score["csi"][row] if value is not None)


COLUMNS = (("CSI 0.5 mm/h", _csi(0)), ("2", _csi(1)), ("5", _csi(2)), ("10", _csi(3)),
           ("B-MSE", lambda score: score["b_mse"]), ("B-MAE", lambda score: score["b_mae"]))


def main() -> None:
    """Trains what is missing and writes the page's part."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--pack", action="append", required=True)
    asked.add_argument("--work", type=Path, default=Path("out/experiments"))
    asked.add_argument("--seeds", default="0-2")
    asked.add_argument("--steps", type=int, default=200)
    given = asked.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    scores: dict[str, list[dict[str, Any]]] = {variant.key: [] for variant in VARIANTS}
    for seed in seeds:
        for variant in VARIANTS:
            found = trained(variant, seed, given.steps, given.pack, given.work)
            scores[variant.key].append(found[variant.key])
            scores.setdefault("persistence", []).append(found["persistence"])
    titles = {variant.key: variant.title for variant in VARIANTS} | {"persistence": "persistence"}
    told = (f"{given.steps} steps of 4 pieces of 48 cells, five frames to five, seeds {given.seeds}; mean ± standard "
            "deviation over the\nseeds, CSI as the mean of the five lead times, on the packs' validation.")
    put(PAGE, PART, [told, "", *table(scores, titles)])



if __name__ == "__main__":
    main()
