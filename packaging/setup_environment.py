"""Makes .venv and installs Stormdeck into it: the first half of ``make run`` and ``make test``.

Runs on a bare Python 3.11 or newer with nothing but the standard library. Does nothing where the environment is
already there for this pyproject.toml; starts anew where an earlier installation was interrupted.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

from package_manager import PackageManager, say

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / "stormdeck-installed.json"
UNFINISHED = VENV / "stormdeck-unfinished"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="what the tests need too")
    dev = parser.parse_args().dev
    if is_ready(dev):
        return 0
    if not (has_ensurepip() or get_ensurepip()):
        return 1
    create()
    return install(dev)


def fingerprint() -> str:
    """Changes with the requirements, the interpreter and the place of the working tree."""
    facts = [(ROOT / "pyproject.toml").read_text(encoding="utf-8"), interpreter(), sys.base_prefix, str(ROOT)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def interpreter() -> str:
    """What compiled packages depend on; a bug-fix release of Python keeps the environment."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def is_ready(dev: bool) -> bool:
    """An environment with the development tools serves for a plain run too."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return stamp["fingerprint"] == fingerprint() and (stamp["dev"] or not dev) and venv_python().exists()


def venv_python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def has_ensurepip() -> bool:
    """Debian and its children ship Python's own venv module apart, and it needs ensurepip to work."""
    return importlib.util.find_spec("ensurepip") is not None


def get_ensurepip() -> bool:
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    say("This Python cannot make virtual environments: its module ensurepip is not installed.")
    manager = PackageManager.of_this_machine()
    if manager is None or manager.name != "apt-get":
        say("Install the part of Python that holds 'venv' and 'ensurepip', then repeat the command.")
        return False
    if not manager.install((package,)):
        return False
    # the package manager may have replaced this very interpreter: go on with the one that is there now
    os.execv(sys.executable, [sys.executable, *sys.argv])


def create() -> None:
    """A half-made environment can look whole to pip, so it is made anew."""
    unusable = UNFINISHED.exists() or not works(venv_python())
    if VENV.exists() and not unusable:
        return
    say(f"Making the virtual environment {VENV.name} with Python {sys.version.split()[0]} ...")
    venv.create(VENV, clear=VENV.exists(), with_pip=True, symlinks=os.name != "nt")


def works(python: Path) -> bool:
    """Whether it starts, has pip, and is of the same Python version as this one."""
    code = "import sys, pip; print(f'{sys.version_info.major}.{sys.version_info.minor}')"
    try:
        answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.returncode == 0 and answer.stdout.strip() == interpreter()


def install(dev: bool) -> int:
    """pip's exit status. A mark is left behind where pip was killed, interrupted or ran out of space, not where it
    refused: an environment that works must survive an attempt without network."""
    say("Installing Stormdeck and what it needs; the first time this takes some minutes ...")
    STAMP.unlink(missing_ok=True)
    UNFINISHED.touch()
    target = ".[dev]" if dev else "."
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    command = [venv_python(), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--prefer-binary",
               *quiet, "--editable", target]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status >= 0 and is_whole():
        UNFINISHED.unlink()
    if status:
        say("pip could not install Stormdeck; its message is above. Repeat the command to try again.")
        return 1
    half_written = STAMP.with_suffix(".part")
    half_written.write_text(json.dumps({"fingerprint": fingerprint(), "dev": dev}), encoding="utf-8")
    half_written.replace(STAMP)
    return 0


def is_whole() -> bool:
    """pip writes a package's list of files last."""
    return all((folder / "RECORD").exists() for folder in VENV.rglob("site-packages/*.dist-info"))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
