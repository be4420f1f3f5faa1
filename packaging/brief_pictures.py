"""Draws docs/pictures/brief-*.png: what networks without weights make of the sample storm after a brief training.

    python packaging/brief_pictures.py --pack a.h5 --pack b.h5 [--work out/brief] [--steps 200] [NAME ...]

Every network that has no weights is built narrow, trained for the same few steps on the packs and asked for a forecast
of the sample. That shows how it blurs and moves rain, not how good it can be, and its weights stay in --work: they
never ship. With names only those are trained. Then all that have been are drawn and the page's part is written anew.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from model_pictures import PAGE, answer, save
from numpy.typing import NDArray
from page_parts import put
from PIL import Image, ImageDraw

import resources
from engine.archives import open_archive
from engine.archives.forecast_file import read_forecast
from engine.export.legend import rgb
from engine.export.lettering import Caption
from engine.export.look import DARK, packed
from engine.jobs.weights import VARIABLE
from engine.radar.colours import load_colours
from engine.radar.scaling import RAIN_CLASSES, rain_bins

REFERENCE, LEAD = 20, 5
SIDE, GAP, WORDS, COLUMNS = 232, 8, 22, 4
ONCE = '{name = "b-mse"}, {name = "b-mae"}'
TWICE = ", ".join(f'{{name = "{name}", readout = {place}}}' for place in (0, -1) for name in ("b-mse", "b-mae"))


@dataclass(frozen=True)
class Build:
    """How a kind of network is made narrow. model: lines of the recipe's [model]; crop: cells of a piece."""

    told: str
    model: str = ""
    crop: int = 48
    terms: str = ONCE
    over: str = "forecast"


@dataclass(frozen=True)
class Family:
    key: str
    title: str
    names: tuple[str, ...]


CELLS = ("convlstm", "trajgru", "predrnn", "predrnn++", "mim", "motionrnn", "preciplstm")
FAMILIES = (
    Family("encoder-forecaster", "Encoder-forecasters and convolutions", ("convlstm", "dfn", "cnn2d", "cnn3d")),
    Family("stacked", "Stacked", tuple(f"stacked-{cell}" for cell in ("convlstm", "trajgru", "predrnn", "mim",
                                                                      "motionrnn"))),
    Family("ms", "MS-RNN", (*(f"ms-{cell}" for cell in CELLS), "ms-lstm")),
    Family("staged", "MS-RNN with a deblurring stage", tuple(f"ms-{cell}-s" for cell in CELLS)),
    Family("db", "DB-RNN", tuple(f"db-{cell}" for cell in CELLS)),
    Family("rivals", "Without recurrence", ("simvp", "tau", "earthformer", "lpt-qpn")),
)
BRIEF = 'topology = "brief"\nhidden = 16\n'
ONE_BY_ONE = {
    "convlstm": Build("16 to 32 channels", BRIEF),
    "dfn": Build("16 to 32 channels", BRIEF),
    "cnn2d": Build("base of 8 channels", "options = {base = 8}\n", crop=120),
    "cnn3d": Build("base of 8 channels", "options = {base = 8}\n", crop=120),
    "simvp": Build("8 and 64 channels", "options = {spatial = 8, temporal = 64, depth = 3}\n"),
    "tau": Build("8 and 64 channels", "options = {spatial = 8, temporal = 64, depth = 3}\n"),
    "earthformer": Build("16 and 32 channels", "options = {grid = [128, 128], stages = [16, 32], shrink = [4, 2]}\n",
                         crop=128),
    "lpt-qpn": Build("8 to 32 channels", "options = {width = 8, blocks = [1, 1, 1], heads = [1, 2, 4]}\n"),
}


def build_of(name: str) -> Build:
    """What the recipe says of this network."""
    known = ONE_BY_ONE.get(name)
    if known is not None:
        return known
    window = "cell_options = {window = 4}\n" if "preciplstm" in name else ""
    terms = TWICE if name.startswith("db-") or name.endswith("-s") else ONCE
    return Build("8 channels", f"hidden = 8\n{window}", terms=terms, over="all")


def recipe(name: str, steps: int) -> str:
    """Five frames to five, pieces of the packs, turned and mirrored."""
    made = build_of(name)
    return (f'name = "{name}"\n[model]\nname = "{name}"\ninputs = 5\nleads = 5\n{made.model}'
            f"[data]\ninputs = 5\nleads = 5\ncrop = {made.crop}\nrain_bias = 0.5\nrain_threshold = 2.0\n"
            "[augment]\nflips = true\nturns = true\n"
            f'[loss]\nterms = [{made.terms}]\nover = "{made.over}"\nscale = 1e-4\n'
            '[optimiser]\nname = "adamw"\nlr = 3e-3\nclip = 1.0\nwarm_up = 20\nshape = "cosine"\nema = 0.97\n'
            f"[run]\nsteps = {steps}\nbatch = 2\nvalidate_every = {steps}\nsave_every = 60\nvalidation = 0\n")


def without_weights() -> list[str]:
    """The families' networks that nobody can forecast with yet."""
    missing = {model["name"] for model in answer("models") if model["parameters"] and model["weights"] is None}
    return [name for family in FAMILIES for name in family.names if name in missing]


def train(name: str, steps: int, packs: Sequence[str], work: Path) -> None:
    """What is there is not made again; a run that was stopped goes on."""
    folder, written = work / "runs" / name, work / f"{name}.toml"
    if (folder / f"{name}.safetensors").is_file():
        return
    written.write_text(recipe(name, steps), encoding="utf-8")
    going = [str(folder), "--resume"] if (folder / "recipe.json").is_file() else [
        str(written), "-o", str(folder), *(word for pack in packs for word in ("--pack", pack))]
    subprocess.run([sys.executable, "-m", "engine", "train", *going], check=True, stdout=subprocess.DEVNULL)


def forecast(name: str, folder: Path) -> NDArray[np.float32]:
    """(ny, nx) mm/h, LEAD steps ahead."""
    os.environ[VARIABLE] = str(folder)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "forecast.nc"
        answer("forecast", resources.sample_archive(), "--forecaster", name, "--index", REFERENCE, "--lead-times", LEAD,
               "-o", file)
        return read_forecast(file).frame(LEAD - 1)


def sheet(fields: Sequence[tuple[str, NDArray[np.float32]]]) -> Image.Image:
    """The fields side by side, each with its name below."""
    columns = min(COLUMNS, len(fields))
    rows = -(-len(fields) // columns)
    page = Image.new("RGB", (columns * (SIDE + GAP) + GAP, rows * (SIDE + WORDS + GAP) + GAP), DARK.paper)
    on = ImageDraw.Draw(page)
    for place, (name, field) in enumerate(fields):
        row, column = divmod(place, columns)
        left, top = GAP + column * (SIDE + GAP), GAP + row * (SIDE + WORDS + GAP)
        page.paste(painted(field), (left, top))
        Caption(name, left, top + SIDE + 16, 14, DARK.text).draw(on)
    return page


def painted(field: NDArray[np.float32]) -> Image.Image:
    table = load_colours(resources.colour_tables()["storm"])
    bins = rain_bins(RAIN_CLASSES)
    colours = table.rgb32(bins, packed(DARK.no_rain), packed(DARK.no_data))[bins(field)]
    return Image.fromarray(rgb(colours)).resize((SIDE, SIDE), Image.Resampling.BOX)


def section(family: Family, names: Sequence[str]) -> Iterator[str]:
    """What the page says about one family."""
    widths = {build_of(name).told for name in names}
    for told in sorted(widths):
        own = [f"`{name}`" for name in names if build_of(name).told == told]
        yield f"{', '.join(own)}: {told}."
    yield ""
    words = f"{family.title}: observed, and forecast 30 minutes ahead after a brief training"
    yield f"![{words}](pictures/{file_of(family)})"
    yield ""


def file_of(family: Family) -> str:
    return f"brief-{family.key}.png"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--pack", action="append", required=True)
    asked.add_argument("--work", type=Path, default=Path("out/brief"))
    asked.add_argument("--steps", type=int, default=200)
    asked.add_argument("names", nargs="*")
    given = asked.parse_args()
    missing = without_weights()
    (given.work / "runs").mkdir(parents=True, exist_ok=True)
    for name in given.names or missing:
        train(name, given.steps, given.pack, given.work)
    runs = {name: given.work / "runs" / name for name in missing}
    folders = {name: run for name, run in runs.items() if (run / f"{name}.safetensors").is_file()}
    lines = [f"{given.steps} steps of 2 pieces, five frames to five on pixels of 2 km; the sample's observed frame and",
             "forecasts of it 30 minutes ahead. Nobody should forecast with these.", ""]
    observed = open_archive([resources.sample_archive()]).rain_rate(REFERENCE + LEAD)
    for family in FAMILIES:
        names = [name for name in family.names if name in folders]
        if names:
            fields = [("observed", observed), *((name, forecast(name, folders[name])) for name in names)]
            save(sheet(fields), file_of(family), 64)
            lines += [f"**{family.title}**", "", *section(family, names)]
    put(PAGE, "brief", lines)


if __name__ == "__main__":
    main()
