"""Writes scores on archives that no network learned from into the cards of weight files.

    python packaging/card_scores.py resources/weights out/benchmark ../shared/data

The scores are those of docs/benchmark.md (``make benchmark``), read from what that run has kept: CSI by threshold and
lead time of the network, beside persistence and ROVER.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark_tables import GROUPS, scored

from engine.networks import weights

BESIDE = ("persistence", "rover-nonlinear")


def entry(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """CSI of the network and of its yardsticks, by threshold and lead time."""
    shown = {who: document["forecasters"][who] for who in (name, *BESIDE)}
    return {"thresholds_mm_h": document["thresholds_mm_h"], "sequences": shown[name]["sequences"],
            "csi": {who: [[None if value is None else round(value, 4) for value in row] for row in scores["csi"]]
                    for who, scores in shown.items()}}


def with_scores(path: Path, documents: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the file is a forecaster's that was scored; its card then has the scores, its tensors stay."""
    network, header = weights.load(path)
    name = path.stem
    found = {title: entry(document, name) for title, document in documents.items() if name in document["forecasters"]}
    if found:
        card = replace(header.card, scores={**header.card.scores, "untouched": found})
        weights.save(path, network, replace(header, name=name, card=card))
    return bool(found)


def main() -> None:
    folder, kept, data = map(Path, sys.argv[1:4])
    documents = {group.title: scored(group, data, kept)[0] for group in GROUPS if group.hour}
    for path in sorted(folder.glob("*.safetensors")):
        print(f"{path.name}: {'scores written' if with_scores(path, documents) else 'not scored there'}")


if __name__ == "__main__":
    main()
