"""Parts of a Markdown page that a program writes, between two comments that name them."""

from __future__ import annotations

from pathlib import Path


def put(page: Path, name: str, lines: list[str]) -> None:
    """Replaces what stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``. Raises ValueError where they are not."""
    text, (begin, end) = page.read_text(encoding="utf-8"), (f"<!-- {name} -->", f"<!-- /{name} -->")
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page} has no part called '{name}'")
    page.write_text("\n".join([before + begin, "", *lines, "", end + after]), encoding="utf-8")
