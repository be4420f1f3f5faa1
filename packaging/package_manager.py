"""The system's package manager: installs where that is possible without asking, else prints the exact command."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass

# program, how it refreshes its lists, how it installs
KNOWN = (
    ("apt-get", ("apt-get", "update", "-qq"),
     ("apt-get", "install", "-y", "-qq", "--no-install-recommends")),
    ("dnf", (), ("dnf", "install", "-y", "-q")),
    ("zypper", (), ("zypper", "--non-interactive", "--quiet", "install", "--no-recommends")),
    ("pacman", (), ("pacman", "-Sy", "--noconfirm", "--needed")),
)
QUIET = ("-q", "-qq", "--quiet")


def say(text: str) -> None:
    """Standard output is kept free for answers that a Makefile reads."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class PackageManager:
    name: str
    refresh: tuple[str, ...]
    add: tuple[str, ...]

    @classmethod
    def of_this_machine(cls) -> PackageManager | None:
        return next((cls(*row) for row in KNOWN if shutil.which(row[0])), None)

    def command(self, packages: tuple[str, ...], *, prefix: tuple[str, ...] = ("sudo",)) -> str:
        """What a person would type: one line for a shell, which may talk."""
        steps = [prefix + step for step in (self.refresh, self.add + packages) if step]
        return " && ".join(shlex.join(word for word in step if word not in QUIET) for step in steps)

    def install(self, packages: tuple[str, ...]) -> bool:
        """Whether they were installed; where not, the command was printed."""
        prefix = without_asking()
        if prefix is not None:
            say(f"Installing system packages: {' '.join(packages)}")
            if self.refresh:  # a list that cannot be refreshed may still be good enough
                self.run(prefix + self.refresh)
            if self.run(prefix + self.add + packages):
                return True
        shown = () if is_root() else ("sudo",)
        say(f"Please run this, then repeat the command:\n\n    {self.command(packages, prefix=shown)}\n")
        return False

    def run(self, command: tuple[str, ...]) -> bool:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, env=quiet, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
        return done.returncode == 0


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def without_asking() -> tuple[str, ...] | None:
    """What to put before a command that needs root: nothing, sudo where it asks for no password, or None."""
    if is_root():
        return ()
    if shutil.which("sudo"):
        asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
        if asked.returncode == 0:
            return ("sudo", "-n", "DEBIAN_FRONTEND=noninteractive")
    return None
