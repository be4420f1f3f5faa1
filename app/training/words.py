"""How runs are put into words and given a colour."""

from __future__ import annotations

from app.theme import Theme
from app.training.runs import is_under_way
from engine.jobs.training_look import DIED, DONE, FAILED, PAUSE, RunView

ASKED = {PAUSE: "pausing…", "stop": "stopping…"}


def state(run: RunView) -> str:
    """running, pausing…, died"""
    return ASKED.get(run.status.asked, run.status.state)


def share(run: RunView) -> float | None:
    """Done so far, in [0, 1]; None where the end is not known."""
    return min(1.0, run.status.step / run.status.steps) if run.status.steps else None


def line(run: RunView) -> str:
    """running  42 %"""
    done = share(run)
    return state(run) if done is None or run.status.state == DONE else f"{state(run)}  {done:.0%}"


def colour(run: RunView, theme: Theme) -> str:
    if run.status.state in (FAILED, DIED):
        return theme.error
    if is_under_way(run):
        return theme.accent
    return theme.faint_text


def progress(run: RunView) -> str:
    """step 120 of 3,000 · epoch 0.34 · 2.1 steps/s · 23 min left · learning rate 0.0009 · CPU"""
    status, latest = run.status, run.latest
    parts = [f"step {status.step:,} of {status.steps:,}" if status.steps else f"step {status.step:,}"]
    if status.epoch:
        parts.append(f"epoch {status.epoch:.3g}")
    if latest:
        parts.append(f"{pace(latest['steps_per_second'])}")
    left = run.minutes_left
    if left is not None and is_under_way(run):
        parts.append(duration(left))
    if latest:
        parts.append(f"learning rate {latest['learning_rate']:.3g}")
    if status.device:
        parts.append(status.device.upper())
    return "  ·  ".join(parts)


def pace(steps_per_second: float) -> str:
    return f"{steps_per_second:.2g} steps/s" if steps_per_second >= 0.1 else f"{1 / steps_per_second:.0f} s/step" \
        if steps_per_second > 0 else "–"


def duration(minutes: float) -> str:
    if minutes < 1.5:
        return f"{max(1, round(minutes * 60))} s left"
    if minutes < 100:
        return f"{round(minutes)} min left"
    return f"{minutes / 60:.1f} h left"


def reason(run: RunView) -> str:
    """Why it ended and what can be done; empty where nothing is to be said."""
    status = run.status
    if status.state not in (FAILED, DIED):
        return ""
    kept = f" It can go on from step {run.checkpoints[-1]:,}." if run.can_go_on else " It has left no checkpoint."
    advice = f" {status.advice}" if status.advice and "--resume" not in status.advice else ""
    return f"{status.reason}{advice}{kept}"


def title(run: RunView) -> str:
    """By which a run is told from others."""
    return run.folder.name


def about(run: RunView) -> str:
    """ms-convlstm · 5 → 5 frames · batches of 4 · rain.h5"""
    data, asked = run.recipe.get("data") or {}, run.recipe.get("run") or {}
    parts = [run.title] if run.title == run.model or not run.model else [run.title, run.model]
    if data.get("inputs"):
        parts.append(f"{data['inputs']} → {data['leads']} frames")
    if asked.get("batch"):
        parts.append(f"batches of {asked['batch']}")
    packs = [str(pack).replace("\\", "/").rpartition("/")[2] for pack in data.get("packs") or ()]
    if packs:
        parts.append(packs[0] if len(packs) == 1 else f"{len(packs)} packs")
    elif data.get("source"):
        parts.append(str(data["source"]))
    return "  ·  ".join(parts)
