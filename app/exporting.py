"""From what the window shows to a request for the export job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.context import Context
from app.runs import Run
from app.session import Session
from engine.radar.grid import Grid
from engine.radar.sequence import RadarSequence

if TYPE_CHECKING:
    from engine.jobs.export_request import ExportRequest

SIZES = ((1280, 720), (1920, 1080), (960, 540))


@dataclass(frozen=True)
class ExportWish:
    """What the dialog asks for. history: frames before the reference time. last: number of lead times."""

    output: Path
    kind: str
    size: tuple[int, int] = SIZES[0]
    fps: float = 8.0
    history: int = 5
    last: int = 10_000


def suggested_name(context: Context) -> str:
    """Archive, forecaster and reference time, without a suffix."""
    session, run = context.session, context.session.shown_run
    if session.sequence is None or session.clock is None:
        return "stormdeck"
    when = session.clock.times[session.reference]
    return "_".join(filter(None, ("stormdeck", run.forecaster.replace(" ", "") if run else "", f"{when:%Y%m%dT%H%MZ}")))


def export_request(context: Context, wish: ExportWish) -> ExportRequest:
    """The session's archive, shown run, thresholds, colours and theme."""
    from engine.jobs.export_request import ExportRequest

    session, place = context.session, context.session.place
    run = session.shown_run
    assert session.sequence is not None
    assert session.clock is not None
    frames = tuple((f.minutes, f.time, f.drawn) for lead, f in sorted(run.frames.items())
                   if lead < wish.last or wish.kind in ("nc", "png")) if run else ()
    return ExportRequest(
        output=wish.output, kind=wish.kind, predicted=frames, predicted_grid=_grid(run),
        sequence=session.sequence if frames else _part(session, wish),
        forecaster=run.forecaster if run and frames else "",
        reference_time=session.clock.times[session.reference],
        header=_header(context, run) if run and wish.kind == "nc" else None,
        thresholds=session.thresholds, contours=session.settings.values.contours != "off",
        colours=context.appearance.colours(session.thresholds), size=wish.size,
        theme=context.appearance.theme.name, fps=wish.fps,
        history=session.reference if wish.kind == "png" else wish.history,
        lead=place.minutes if frames and place is not None and wish.kind == "png" else None)


def _part(session: Session, wish: ExportWish) -> RadarSequence:
    """Without a forecast: the frame on show, or the frames up to the reference time."""
    sequence, place = session.sequence, session.place
    assert sequence is not None
    last = place.frame if wish.kind == "png" and place is not None and place.frame is not None else session.reference
    first = last if wish.kind == "png" else max(0, last - wish.history)
    return RadarSequence(sequence.layout, sequence.frames[first: last + 1], sequence.read, name=sequence.name)


def _header(context: Context, run: Run) -> Any:
    """The forecast file's header, as the forecast job would have written it."""
    from engine.jobs.forecast import header_for

    session = context.session
    assert session.sequence is not None
    assert session.clock is not None
    header = header_for(session.sequence, run.method or run.forecaster, session.clock.times[run.reference], run.inputs,
                        deblurrer=run.deblurrer, downscaler=run.downscaler)
    grid = _grid(run)
    return header if grid is None else replace(header, grid=grid, step_minutes=header.step_minutes / run.parts)


def _grid(run: Run | None) -> Grid | None:
    """Of a downscaled forecast; None where it lies on the archive's."""
    return next((frame.grid for frame in run.frames.values()), None) if run else None
