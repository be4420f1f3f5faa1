"""The two commands: the environment is made once, missing libraries get the right names, requirements are complete."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import pytest

from tests import source_tree
from tests.source_tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    """A script of packaging/, imported as it imports its neighbours: by its file's own name."""
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    return importlib.import_module(request.param)


libraries = pytest.mark.parametrize("script", ["system_libraries"], indirect=True)
environment = pytest.mark.parametrize("script", ["setup_environment"], indirect=True)
manager = pytest.mark.parametrize("script", ["package_manager"], indirect=True)


@libraries
@pytest.mark.parametrize(("name", "packages"), [
    ("apt-get", ("libegl1", "libxcb-cursor0", "fonts-dejavu-core")),
    ("dnf", ("libEGL.so.1()(64bit)", "libxcb-cursor.so.0()(64bit)", "dejavu-sans-fonts")),
    ("zypper", ("libEGL.so.1()(64bit)", "libxcb-cursor.so.0()(64bit)", "dejavu-fonts")),
    ("pacman", ("libglvnd", "xcb-util-cursor", "ttf-dejavu")),
])
def test_missing_libraries_are_named_as_the_package_manager_names_them(
        script: ModuleType, name: str, packages: tuple[str, ...]) -> None:
    missing = ("libEGL.so.1", "libxcb-cursor.so.0")
    assert script.packages_for(name, missing, fonts=True) == packages
    assert script.packages_for(name, missing, fonts=False) == packages[:2]


@libraries
def test_one_package_is_asked_for_once(script: ModuleType) -> None:
    assert script.packages_for("pacman", ("libEGL.so.1", "libGL.so.1"), fonts=False) == ("libglvnd",)


@libraries
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="system libraries are checked on Linux only")
def test_every_library_that_qt_may_lack_has_a_package(script: ModuleType) -> None:
    needed = {name for file in (*script.DRAWING, *script.X11, *script.WAYLAND) for name in needed_by(script, file)}
    brought_along = ("libQt6", "libicu", "libpyside6", "libshiboken6")
    of_the_c_library = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1",
                        "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
    unknown = {name for name in needed if not name.startswith(brought_along)} - of_the_c_library - set(script.PACKAGES)
    assert not unknown


def needed_by(script: ModuleType, file: str) -> set[str]:
    """sonames written in a shared library, found in its text: each ends in .so and a number."""
    spec = importlib.util.find_spec("PySide6")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / file
    if not path.exists():
        return set()
    listing = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
    linked = {line.split()[0] for line in listing.splitlines() if ".so" in line}
    written = {name.decode() for name in re.findall(rb"\0(lib[\w.+-]+\.so\.\d+)(?=\0)", path.read_bytes())}
    return written & linked


@libraries
def test_qt_draws_here_and_has_a_font(script: ModuleType) -> None:
    """The tests themselves rest on it."""
    assert script.font_families("offscreen")
    assert script.missing_libraries(script.DRAWING) == ()


@libraries
def test_a_display_that_does_not_answer_is_no_display(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.setattr(script, "install", lambda missing, *, fonts: False)
    assert script.can_open_window() is False


@libraries
def test_no_display_means_offscreen(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert script.can_open_window() is False


@manager
def test_without_rights_the_exact_command_is_printed(
        script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(script, "without_asking", lambda: None)
    monkeypatch.setattr(script, "is_root", lambda: False)
    apt = script.PackageManager(*script.KNOWN[0])
    assert apt.install(("libegl1", "libgl1")) is False
    said = capsys.readouterr()
    assert said.out == ""
    assert ("sudo apt-get update && "
            "sudo apt-get install -y --no-install-recommends libegl1 libgl1\n") in said.err


@manager
def test_names_with_brackets_survive_the_shell(script: ModuleType) -> None:
    dnf = script.PackageManager(*next(row for row in script.KNOWN if row[0] == "dnf"))
    assert dnf.command(("libEGL.so.1()(64bit)",)) == "sudo dnf install -y 'libEGL.so.1()(64bit)'"


@pytest.fixture
def empty_venv(tmp_path: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ".venv"
    (folder / "bin").mkdir(parents=True)
    monkeypatch.setattr(script, "VENV", folder)
    monkeypatch.setattr(script, "STAMP", folder / "installed.json")
    monkeypatch.setattr(script, "UNFINISHED", folder / "unfinished")
    script.venv_python().parent.mkdir(exist_ok=True)
    script.venv_python().touch()
    return folder


@environment
def test_an_environment_is_ready_only_for_what_was_installed(script: ModuleType, empty_venv: Path) -> None:
    assert not script.is_ready(dev=False)
    script.STAMP.write_text(json.dumps({"fingerprint": script.fingerprint(), "dev": False}))
    assert script.is_ready(dev=False)
    assert not script.is_ready(dev=True)
    script.STAMP.write_text(json.dumps({"fingerprint": script.fingerprint(), "dev": True}))
    assert script.is_ready(dev=False)
    assert script.is_ready(dev=True)


@environment
@pytest.mark.parametrize("stamp", ["", "{", json.dumps({"fingerprint": "of other requirements", "dev": True})])
def test_a_stamp_that_is_broken_or_old_does_not_count(script: ModuleType, empty_venv: Path, stamp: str) -> None:
    script.STAMP.write_text(stamp)
    assert not script.is_ready(dev=False)


@environment
@pytest.mark.parametrize(("status", "unfinished", "stamped"), [(0, False, True), (1, False, False), (-2, True, False)])
def test_only_an_interrupted_installation_is_begun_anew(
        script: ModuleType, empty_venv: Path, monkeypatch: pytest.MonkeyPatch,
        status: int, unfinished: bool, stamped: bool) -> None:
    """A pip that refuses leaves a sound environment behind, a pip that was killed may not."""
    monkeypatch.setattr(script.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, status))
    assert script.install(dev=True) == (1 if status else 0)
    assert script.UNFINISHED.exists() is unfinished
    assert script.STAMP.exists() is stamped


@environment
def test_an_installation_that_ran_out_of_space_is_begun_anew(
        script: ModuleType, empty_venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_venv / "lib" / "python3.11" / "site-packages" / "numpy-2.0.dist-info").mkdir(parents=True)
    monkeypatch.setattr(script.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 1))
    assert script.install(dev=False) == 1
    assert script.UNFINISHED.exists()


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_names(requirements: list[str]) -> set[str]:
    return {normalised(re.split(r"[<>=!;\[ ~]", text, maxsplit=1)[0]) for text in requirements}


def imported_distributions(*folders: str) -> dict[str, str]:
    """Distribution -> one file that imports it, for everything that is not ours and not Python's own."""
    owners = packages_distributions()
    found: dict[str, str] = {}
    for path in source_tree.files(*folders):
        for item in source_tree.imports(path):
            top = item.target.split(".")[0]
            if top not in sys.stdlib_module_names and top not in ("app", "engine", "resources", "tests"):
                found[normalised(owners.get(top, [top])[0])] = f"{path.relative_to(ROOT)}:{item.line}"
    return found


ALONG_WITH_ANOTHER = {"shiboken6", "cftime"}  # brought by PySide6-Essentials and netCDF4


def test_the_program_imports_nothing_that_it_does_not_require() -> None:
    extras = [name for extra, names in PROJECT["optional-dependencies"].items() if extra != "dev" for name in names]
    required = requirement_names(PROJECT["dependencies"] + extras) | ALONG_WITH_ANOTHER
    missing = {name: place for name, place in imported_distributions("app", "engine", "resources").items()
               if name not in required}
    assert not missing


def test_the_tests_import_nothing_that_the_dev_extra_does_not_require() -> None:
    required = requirement_names(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])
    scripts = {normalised(path.stem) for path in source_tree.files("packaging")}
    missing = {name: place for name, place in imported_distributions("tests", "packaging").items()
               if name not in required | ALONG_WITH_ANOTHER | scripts}
    assert not missing


def test_the_changelog_and_the_readme_name_what_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", readme, re.MULTILINE))
    assert {"run", "test"} <= named <= targets
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
