"""Draws docs/pictures: what each forecaster makes of the sample storm an hour ahead, beside what was observed.

    python packaging/model_pictures.py [NAME ...]

Drawn are the forecasters that need no weights and those whose weights are found; what has none is said to need
training, as a picture of an untrained network would show nothing; what lacks a library is left out. Afterwards the
pictures' part of docs/models.md is written anew. With names only those are drawn, the others stay as they are.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from page_parts import put
from PIL import Image

import resources
from engine import commands

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "models.md"
PICTURES = ROOT / "docs" / "pictures"
LEAD, REFERENCE = 10, 20
SIZE = "960x540"


def answer(*arguments: object) -> Any:
    """Runs a command and returns its document."""
    spoken = StringIO()
    with redirect_stdout(spoken):
        code = commands.run([*(str(argument) for argument in arguments), "--json"])
    if code:
        raise SystemExit(f"{arguments[0]} ended with {code}")
    return json.loads(spoken.getvalue())


def draw(name: str, archive: Path) -> None:
    """One picture."""
    with tempfile.TemporaryDirectory() as folder:
        forecast, frames = Path(folder) / "forecast.nc", Path(folder) / "frames.png"
        answer("forecast", archive, "--forecaster", name, "--index", REFERENCE, "--lead-times", LEAD, "-o", forecast)
        answer("export", archive, "--forecast", forecast, "-o", frames, "--size", SIZE)
        drawn = sorted((frames if frames.is_dir() else Path(folder)).rglob("*.png"))
        last = next(picture for picture in reversed(drawn) if picture.is_file())
        with Image.open(last) as picture:
            save(picture.convert("RGB"), f"{file_name(name)}.png", 96)


def save(picture: Image.Image, name: str, colours: int) -> None:
    """Among the pictures, in few colours so that it stays small."""
    picture.quantize(colours, dither=Image.Dither.NONE).save(PICTURES / name, optimize=True)
    print(f"docs/pictures/{name}")


def file_name(name: str) -> str:
    """``+`` is kept out of file names, where some pages make a space of it."""
    return name.replace("+", "p")


def section(model: dict[str, Any]) -> list[str]:
    """What the page says about one forecaster."""
    picture = PICTURES / f"{file_name(model['name'])}.png"
    usable = not model["parameters"] or model["weights"] is not None
    if usable and picture.exists():
        about = f"trained on {model['weights']['trained_on']}" if model["weights"] else "needs no weights"
        return [f"**{model['title']}** (`{model['name']}`; {about})", "",
                f"![{model['title']}: observed and predicted, 60 minutes ahead](pictures/{picture.name})", ""]
    return []


def without_weights(models: list[dict[str, Any]]) -> list[str]:
    missing = [model for model in models if model["parameters"] and model["weights"] is None]
    if not missing:
        return []
    rows = [f"| `{model['name']}` | needs training: recipe `{model['name']}` |" for model in missing]
    return ["Without weights nothing is drawn here; `stormdeck-engine train RECIPE --pack PACK.h5` makes some.", "",
            "| name | |", "|---|---|", *rows]


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    models = [model for model in answer("models") if model["kind"] == "forecaster"]
    usable = [model["name"] for model in models if (not model["parameters"] or model["weights"] is not None)
              and all(find_spec(library) for library in model["needs"])]
    wished = sys.argv[1:] or usable
    archive = resources.sample_archive()
    for name in wished:
        if name not in usable:
            raise SystemExit(f"{name} has no weights, or lacks a library: nothing to draw")
        draw(name, archive)
    put(PAGE, "pictures", [line for model in models for line in section(model)] + without_weights(models))


if __name__ == "__main__":
    main()
