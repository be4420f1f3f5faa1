"""Reads the project's own source for the tests of its architecture: modules, what they import, their functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("app", "engine", "resources")


@dataclass(frozen=True)
class Import:
    """An import statement's target. lazy: inside a function, so it does not run when the module is imported.
    typing: read by the type checker only, so it never runs."""

    target: str
    line: int
    lazy: bool
    typing: bool


@cache
def files(*folders: str) -> tuple[Path, ...]:
    """Python files below these folders of the project, sorted."""
    return tuple(sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")))


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file, for every module of the program."""
    return {module_name(path): path for path in files(*PACKAGES)}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Every import of a file, those inside functions too; `from package import module` names the module."""
    return tuple(_walk(tree(path), lazy=False, typing=False))


def _walk(node: ast.AST, *, lazy: bool, typing: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, node.lineno, lazy, typing) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (Import(_target(node, alias.name), node.lineno, lazy, typing) for alias in node.names)
    lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    typing = typing or _for_type_checking(node)
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, lazy=lazy, typing=typing)


def _target(node: ast.ImportFrom, name: str) -> str:
    whole = f"{node.module}.{name}"
    return whole if whole in modules() else str(node.module)


def _for_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


@cache
def functions(path: Path) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...]:
    return tuple(node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    first = function.body[0]
    described = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if described else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The names along one circle of a directed graph, the first one repeated at the end; empty if there is none."""
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> list[str]:
        if name in path:
            return [*path[path.index(name):], name]
        if name in done:
            return []
        path.append(name)
        found = next((ring for target in sorted(graph.get(name, ())) if (ring := visit(target))), [])
        path.pop()
        done.add(name)
        return found

    return next((ring for name in sorted(graph) if (ring := visit(name))), [])
