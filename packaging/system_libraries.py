"""Checks, by trying, the system libraries and fonts that Qt needs, and installs what is missing.

Prints one word on standard output: ``window`` where the program can open on this display, ``offscreen`` where it
can draw without one. Everything for people goes to standard error. Exit status 1: Qt cannot work here at all, and
the command that would mend it was printed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from package_manager import PackageManager, say

# What only a window on an X display needs, and what only Wayland needs; the rest is needed for any drawing.
DRAWING = ("Qt/lib/libQt6Core.so.6", "Qt/lib/libQt6Gui.so.6", "Qt/lib/libQt6Widgets.so.6", "Qt/lib/libQt6Svg.so.6",
           "Qt/lib/libQt6Test.so.6", "Qt/plugins/platforms/libqoffscreen.so")
X11 = ("Qt/plugins/platforms/libqxcb.so",)
WAYLAND = ("Qt/plugins/platforms/libqwayland.so",)

# soname: package of Debian and Ubuntu, package of Arch. Fedora and openSUSE take the soname itself.
PACKAGES = {
    "libEGL.so.1": ("libegl1", "libglvnd"),
    "libGL.so.1": ("libgl1", "libglvnd"),
    "libGLX.so.0": ("libglx0", "libglvnd"),
    "libOpenGL.so.0": ("libopengl0", "libglvnd"),
    "libdbus-1.so.3": ("libdbus-1-3", "dbus"),
    "libfontconfig.so.1": ("libfontconfig1", "fontconfig"),
    "libfreetype.so.6": ("libfreetype6", "freetype2"),
    "libglib-2.0.so.0": ("libglib2.0-0", "glib2"),
    "libgthread-2.0.so.0": ("libglib2.0-0", "glib2"),
    "libgssapi_krb5.so.2": ("libgssapi-krb5-2", "krb5"),
    "libstdc++.so.6": ("libstdc++6", "gcc-libs"),
    "libz.so.1": ("zlib1g", "zlib"),
    "libzstd.so.1": ("libzstd1", "zstd"),
    "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon"),
    "libxkbcommon-x11.so.0": ("libxkbcommon-x11-0", "libxkbcommon-x11"),
    "libX11.so.6": ("libx11-6", "libx11"),
    "libX11-xcb.so.1": ("libx11-xcb1", "libx11"),
    "libSM.so.6": ("libsm6", "libsm"),
    "libICE.so.6": ("libice6", "libice"),
    "libxcb.so.1": ("libxcb1", "libxcb"),
    "libxcb-cursor.so.0": ("libxcb-cursor0", "xcb-util-cursor"),
    "libxcb-glx.so.0": ("libxcb-glx0", "libxcb"),
    "libxcb-icccm.so.4": ("libxcb-icccm4", "xcb-util-wm"),
    "libxcb-image.so.0": ("libxcb-image0", "xcb-util-image"),
    "libxcb-keysyms.so.1": ("libxcb-keysyms1", "xcb-util-keysyms"),
    "libxcb-randr.so.0": ("libxcb-randr0", "libxcb"),
    "libxcb-render.so.0": ("libxcb-render0", "libxcb"),
    "libxcb-render-util.so.0": ("libxcb-render-util0", "xcb-util-renderutil"),
    "libxcb-shape.so.0": ("libxcb-shape0", "libxcb"),
    "libxcb-shm.so.0": ("libxcb-shm0", "libxcb"),
    "libxcb-sync.so.1": ("libxcb-sync1", "libxcb"),
    "libxcb-util.so.1": ("libxcb-util1", "xcb-util"),
    "libxcb-xfixes.so.0": ("libxcb-xfixes0", "libxcb"),
    "libxcb-xinput.so.0": ("libxcb-xinput0", "libxcb"),
    "libxcb-xkb.so.1": ("libxcb-xkb1", "libxcb"),
    "libwayland-client.so.0": ("libwayland-client0", "wayland"),
    "libwayland-cursor.so.0": ("libwayland-cursor0", "wayland"),
    "libwayland-egl.so.1": ("libwayland-egl1", "wayland"),
}
FONTS = {"apt-get": "fonts-dejavu-core", "dnf": "dejavu-sans-fonts", "zypper": "dejavu-fonts", "pacman": "ttf-dejavu"}

# an unusable display makes Qt abort; that is an answer here and needs no core file
PROBE = """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QApplication
app = QApplication([])
print(len(QFontDatabase.families()))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--window", action="store_true", help="look for a display too")
    wants_window = parser.parse_args().window and os.environ.get("QT_QPA_PLATFORM") not in ("offscreen", "minimal")
    if not sys.platform.startswith("linux"):
        print("window" if wants_window else "offscreen")
        return 0
    if platform.libc_ver()[0] != "glibc":
        say("Qt and PyTorch are published for the GNU C library only, which this system does not use.")
        return 1
    if not can_draw():
        return 1
    print("window" if wants_window and can_open_window() else "offscreen")
    return 0


def can_draw() -> bool:
    families = font_families("offscreen")
    if families:
        return True
    missing = missing_libraries(DRAWING)
    if not missing and families is None:
        say("Qt does not start although all its libraries are there. Its own message:")
        subprocess.run([sys.executable, "-c", PROBE], env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, check=False)
        return False
    say("Qt cannot draw here yet: " + (f"missing {', '.join(missing)}." if missing else "there is no font."))
    return install(missing, fonts=not any_font_file()) and bool(font_families("offscreen"))


def can_open_window() -> bool:
    """With a display: whether a window opens on it, after installing what is missing for that."""
    plugins = X11 if os.environ.get("DISPLAY") else WAYLAND if os.environ.get("WAYLAND_DISPLAY") else None
    if plugins is None:
        say("No display: drawing offscreen.")
        return False
    if font_families("") is not None:
        return True
    missing = missing_libraries(plugins)
    if missing:
        say(f"No window can be opened here yet: missing {', '.join(missing)}.")
        if install(missing, fonts=False) and font_families("") is not None:
            return True
    else:
        say("The display does not answer.")
    say("Going on without a window, drawing offscreen.")
    return False


def font_families(qt_platform: str) -> int | None:
    """How many fonts Qt finds; None where it does not start. An empty platform is Qt's own choice."""
    environment = {**os.environ, "QT_QPA_PLATFORM": qt_platform} if qt_platform else dict(os.environ)
    command = [sys.executable, "-c", PROBE]
    try:
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        return None
    return int(answer.stdout) if answer.returncode == 0 else None


def missing_libraries(files: Iterable[str]) -> tuple[str, ...]:
    """sonames that the dynamic loader does not find for these files of PySide6, sorted."""
    spec = importlib.util.find_spec("PySide6")
    if spec is None or spec.origin is None or shutil.which("ldd") is None:
        return ()
    folder = Path(spec.origin).parent
    present = [str(folder / name) for name in files if (folder / name).exists()]
    listing = subprocess.run(["ldd", *present], capture_output=True, text=True, check=False).stdout
    return tuple(sorted({line.split()[0] for line in listing.splitlines() if line.endswith("not found")}))


def any_font_file() -> bool:
    folders = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".local/share/fonts")
    return any(next(folder.rglob("*.[ot]tf"), None) for folder in folders)


def install(missing: Iterable[str], *, fonts: bool) -> bool:
    manager = PackageManager.of_this_machine()
    if manager is None:
        say("No package manager that Stormdeck knows was found; please install the packages that hold these.")
        return False
    return manager.install(packages_for(manager.name, missing, fonts=fonts))


def packages_for(manager: str, missing: Iterable[str], *, fonts: bool) -> tuple[str, ...]:
    """The packages that hold the missing libraries, by the names of this package manager."""
    if manager in ("dnf", "zypper"):
        names = [f"{soname}()(64bit)" for soname in missing]
    else:
        column = 0 if manager == "apt-get" else 1
        names = [PACKAGES[soname][column] for soname in missing if soname in PACKAGES]
    return tuple(dict.fromkeys([*names, *([FONTS[manager]] if fonts else [])]))


if __name__ == "__main__":
    sys.exit(main())
