"""Draws docs/images/window.png, the README's picture: the real window on the sample storm, drawn offscreen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "window.png"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        # settings of the person who calls this must not show in the picture
        surroundings = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": folder}
        drawn = subprocess.run([sys.executable, "-m", "app", "--demo", folder], cwd=ROOT, check=False,
                               env=surroundings, stdout=subprocess.DEVNULL)
        picture = Path(folder) / "window.png"
        if drawn.returncode or not picture.exists():
            print("the demonstration drew no picture", file=sys.stderr)
            return 1
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, PICTURE)
    print(PICTURE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
