"""Writes the tables of docs/models.md: exact and printed counts, and what a forecast of 5 -> 20 frames costs.

    python packaging/model_costs.py [NAME ...]

CPU seconds are those of one thread for 20 lead times of 160 x 160 pixels, untrained weights (they cost the same). What
is done again and again at the same cost is timed twice and multiplied. A network that takes another number of frames
gets that; one whose grid must be larger gets the next size it takes, which the table says. The page is written after
each network. With names only these are measured; the others keep what the table says about them.
"""

from __future__ import annotations

import itertools
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from page_parts import put

from engine.networks.configuration import Configuration, build
from engine.networks.encoder_forecaster import EncoderForecaster
from engine.networks.flops import multiply_accumulates
from engine.networks.published import PUBLISHED, Published
from engine.networks.recurrent import Recurrent
from engine.networks.staged import Staged
from engine.networks.zoo import ZOO

PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
SHAPE, INPUTS, LEADS = (160, 160), 5, 20
FREE = ("recurrent", "staged", "encoder-forecaster")
STEP_BY_STEP = ("diffcast", "cascast")
ELSEWHERE = ("lagrangian-unet", "frame-gan")
ROW = re.compile(r"^\| `([^`]+)` \| [^|]* \| ([\d.]+|–) \| ([^|]*) \| [^|]* \|$", re.MULTILINE)
"""A row of the costs: name, multiply-accumulates, seconds."""
UNKNOWN = ("–", "–")


def thousands(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def padded(network: torch.nn.Module) -> tuple[int, int]:
    fixed: tuple[int, int] | None = getattr(network, "fixed_grid", None)
    multiple = int(getattr(network, "grid_multiple", 1))
    return fixed or (-(-SHAPE[0] // multiple) * multiple, -(-SHAPE[1] // multiple) * multiple)


def inputs_of(name: str) -> int:
    wish = ZOO[name].configuration
    return INPUTS if wish.architecture in FREE else wish.inputs


def work(name: str) -> tuple[int, tuple[int, int]]:
    """Multiply-accumulates, and the grid."""
    wish = ZOO[name].configuration
    with torch.device("cpu" if wish.cell == "trajgru" else "meta"):  # without values warping takes longer, not shorter
        empty = build(wish).eval()
        shape, inputs = padded(empty), inputs_of(name)
        if wish.architecture in STEP_BY_STEP:
            few, more = (multiply_accumulates(build(drawn_in(wish, steps)).eval(), inputs, LEADS, shape)
                         for steps in (2, 3))
            return few + (steps_of(empty) - 2) * (more - few), shape
        if not isinstance(empty, EncoderForecaster):
            return multiply_accumulates(empty, inputs, LEADS, shape), shape
        one, seen, ahead = (multiply_accumulates(empty, *frames, shape) for frames in ((1, 1), (2, 1), (1, 2)))
    return one + (inputs - 1) * (seen - one) + (LEADS - 1) * (ahead - one), shape


def drawn_in(wish: Configuration, steps: int) -> Configuration:
    """The same, with so many steps from noise to a forecast."""
    return replace(wish, options={**wish.options, "sampling": steps})


def steps_of(network: torch.nn.Module) -> int:
    return len(network.short)  # type: ignore[arg-type]


def seconds(name: str, shape: tuple[int, int]) -> float:
    wish = ZOO[name].configuration
    network = build(wish).eval()
    if wish.architecture in STEP_BY_STEP:
        few, more = (timed(build(drawn_in(wish, steps)).eval(), wish.inputs, shape) for steps in (2, 4))
        return few + (steps_of(network) - 2) * (more - few) / 2
    frames = torch.rand(1, inputs_of(name), 1, *shape)
    with torch.inference_mode():
        if isinstance(network, Recurrent | Staged):
            return (frames.shape[1] + LEADS - 1) * per_frame(network.steps(frames, 1))[1]
        if isinstance(network, EncoderForecaster):
            first, each = per_frame(network.steps(frames, 3))
            return first + (LEADS - 1) * each
    return timed(network, inputs_of(name), shape)


def timed(network: torch.nn.Module, inputs: int, shape: tuple[int, int]) -> float:
    """Of a network that gives some lead times at once."""
    frames = torch.rand(1, inputs, 1, *shape)
    with torch.inference_mode():
        runs = -(-LEADS // network(frames, LEADS).shape[1])
        began = time.process_time()
        network(frames, LEADS)
        return runs * (time.process_time() - began)


def per_frame(frames: Iterator[object]) -> tuple[float, float]:
    """CPU seconds to the first frame, and of each of the two after it."""
    marks = [time.process_time()]
    for _ in itertools.islice(frames, 3):
        marks.append(time.process_time())
    return marks[1] - marks[0], (marks[3] - marks[1]) / 2


def counts() -> list[str]:
    lines = ["| name | exact | printed | remark |", "|---|---|---|---|"]
    for name, told in PUBLISHED.items():
        others = [f"{what}: {thousands(count)}" for what, count in told.others.items()]
        remark = " ".join(filter(None, ["✓" if told.agrees else "", told.note, "; ".join(others)]))
        lines.append(f"| `{name}` | {thousands(ZOO[name].parameters)} | {told.printed or '–'} | {remark or '–'} |")
    return lines


def known() -> dict[str, Published]:
    """Those that forecast the domain itself; one that runs in the moving frame costs what its motion costs too."""
    return {name: told for name, told in PUBLISHED.items() if ZOO[name].configuration.architecture not in ELSEWHERE}


def costs(spent: dict[str, tuple[str, str]]) -> list[str]:
    lines = ["| name | paper | G MACs | CPU s | good for |", "|---|---|---|---|---|"]
    for name, told in known().items():
        lines.append(f"| `{name}` | {told.paper} | {' | '.join(spent.get(name, UNKNOWN))} | {told.use} |")
    return lines


def main() -> None:
    torch.set_num_threads(1)
    put(PAGE, "counts", counts())
    spent = {found[1]: (found[2], found[3].strip()) for found in ROW.finditer(PAGE.read_text(encoding="utf-8"))}
    put(PAGE, "costs", costs(spent))
    for name in sys.argv[1:] or known():
        macs, shape = work(name)
        grid = "" if shape == SHAPE else f" ({shape[0]} × {shape[1]})"
        spent[name] = (f"{macs / 1e9:.1f}", f"{seconds(name, shape):.3g}{grid}")
        put(PAGE, "costs", costs(spent))
        print(name, *spent[name], flush=True)


if __name__ == "__main__":
    main()
