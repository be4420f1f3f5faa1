"""The command line: arguments -> job -> answer. What a command does is in :mod:`engine.jobs`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine import __version__, printing
from engine.command_options import (
    Moment,
    Numbers,
    Seeds,
    Size,
    json_option,
    paths_argument,
    polar_map,
    polar_options,
    thresholds_option,
)
from engine.errors import WrongUsage
from engine.radar.gridding import PolarOptions
from engine.terminal import answer, complain

if TYPE_CHECKING:
    from engine.radar.region import Region


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="stormdeck-engine")
@click.option("-v", "--verbose", count=True, help="Log on stderr; twice for everything.")
def cli(verbose: int) -> None:
    """Precipitation nowcasting without a screen: everything that the window can compute."""
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    logging.basicConfig(level=levels[min(verbose, 2)], format="%(levelname)s %(name)s: %(message)s")


@cli.command()
@paths_argument
@polar_options
@click.option("--fresh", is_flag=True, help="Look at every file, also in old folders that have not changed.")
@json_option
def info(*, paths: tuple[Path, ...], product: str, height_m: float, pixel_km: float, fresh: bool,
         as_json: bool) -> int:
    """Describe an archive: format, times, grid, gaps, missing share, maximum."""
    from engine.jobs.info import InfoRequest

    request = InfoRequest(paths, PolarOptions(product, height_m, pixel_km), fresh)
    return answer("info", request, as_json, printing.info)


@cli.command()
@json_option
def models(as_json: bool) -> int:
    """List forecasters, deblurrers and downscalers."""
    from engine.jobs.models import ModelsRequest

    return answer("models", ModelsRequest(), as_json, printing.models)


@cli.command()
@paths_argument
@click.option("--forecaster", required=True, help="A name that 'models' lists.")
@click.option("--at", type=Moment(), help="Reference time (UTC).")
@click.option("--index", type=int, help="Reference frame by number; negative from the end.")
@click.option("--inputs", type=click.IntRange(1), default=5, show_default=True, help="Input frames.")
@click.option("--lead-times", type=click.IntRange(1), default=20, show_default=True, help="Frames to forecast.")
@click.option("--members", type=click.IntRange(1), default=1, show_default=True)
@click.option("--deblurrer", help="Sharpens the forecast.")
@click.option("--downscaler", help="Refines the forecast in space and time.")
@click.option("--refine", type=Numbers("KY,KX,KT"), default="2,2,2", show_default=True,
              help="Cells along y and x from one, steps from one.")
@click.option("--conserve", is_flag=True, help="Keep the mean over the cells that come from one.")
@click.option("--elevation", type=click.Path(path_type=Path), multiple=True,
              help="GeoTIFF or NetCDF elevation model (or MeteoNet's GRIB) for downscalers that read it.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Forecast file (.nc).")
@polar_options
@json_option
def forecast(*, paths: tuple[Path, ...], forecaster: str, at: datetime | None, index: int | None,
             inputs: int, lead_times: int, members: int, deblurrer: str | None, downscaler: str | None,
             refine: tuple[float, float, float], conserve: bool, elevation: tuple[Path, ...], device: str, seed: int,
             output: Path, product: str, height_m: float, pixel_km: float, as_json: bool) -> int:
    """Forecast from the last frames up to a reference time."""
    from engine.jobs.forecast import ForecastRequest

    if any(factor != int(factor) for factor in refine):
        raise WrongUsage("The factors of --refine are whole numbers.")
    request = ForecastRequest(paths=paths, forecaster=forecaster, at=at, index=index, inputs=inputs,
                              lead_times=lead_times, members=members, deblurrer=deblurrer, downscaler=downscaler,
                              device=device, seed=seed, output=output, conserve=conserve, elevation=elevation,
                              refine=(int(refine[0]), int(refine[1]), int(refine[2])),
                              options=PolarOptions(product, height_m, pixel_km))
    return answer("forecast", request, as_json, printing.forecast)


@cli.command()
@click.argument("forecasts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--against", required=True, multiple=True, type=click.Path(path_type=Path),
              help="The archive that was observed.")
@thresholds_option
@click.option("--pool", type=click.IntRange(1), default=1, show_default=True, help="Maximum over windows of this size.")
@click.option("--region", type=click.Path(path_type=Path),
              help="Only inside these outlines: GeoJSON, shapefile or KML; FILE#NAME takes one of them.")
@click.option("--box", type=Numbers("W,S,E,N"), help="Only inside this box; degrees of longitude and latitude.")
@click.option("--fields", is_flag=True,
              help="In the JSON also SSIM, PSNR, GDL, SAL, FSS and spectra, and the scores of every frame.")
@polar_options
@json_option
def verify(*, forecasts: tuple[Path, ...], against: tuple[Path, ...], thresholds: tuple[float, ...],
           pool: int, region: Path | None, box: tuple[float, float, float, float] | None, fields: bool, product: str,
           height_m: float, pixel_km: float, as_json: bool) -> int:
    """Score forecast files against what was observed, pooled over all of them."""
    from engine.jobs.verify import VerifyRequest

    if region is not None and box is not None:
        raise WrongUsage("Name either --region or --box, not both.")
    request = VerifyRequest(forecasts, against, thresholds, pool, PolarOptions(product, height_m, pixel_km),
                            region if box is None else _box(box), fields)
    return answer("verify", request, as_json, printing.verify)


@cli.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A folder, or a file .h5.")
@click.option("--frames", type=click.IntRange(1, 5000), default=60, show_default=True)
@click.option("--size", type=Size(), default="480x480", show_default=True, help="Rows x columns.")
@click.option("--pixel-km", type=click.FloatRange(0.1, 20), default=1.0, show_default=True)
@click.option("--step", "step_minutes", type=click.IntRange(1, 60), default=6, show_default=True, help="Minutes.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@json_option
def sample(*, output: Path, frames: int, size: tuple[int, int], pixel_km: float, step_minutes: int,
           seed: int, as_json: bool) -> int:
    """Write a synthetic storm as ODIM HDF5; it is labelled synthetic wherever it is shown."""
    from engine.jobs.sample import SampleRequest

    request = SampleRequest(output=output, frames=frames, size=size, pixel_km=pixel_km, step_minutes=step_minutes,
                            seed=seed)
    return answer("sample", request, as_json, printing.plain)


@cli.command()
@paths_argument
@click.option("--forecast", "forecast_file", type=click.Path(path_type=Path), help="A forecast file beside it.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True,
              help=".png (a folder of frames), .gif, .mp4 or .nc.")
@thresholds_option
@click.option("--fps", type=click.IntRange(1, 60), default=8, show_default=True)
@click.option("--size", type=Size(), default="1280x720", show_default=True, help="Width x height in pixels.")
@click.option("--theme", type=click.Choice(["dark", "light"]), default="dark", show_default=True)
@polar_options
@json_option
def export(*, paths: tuple[Path, ...], forecast_file: Path | None, output: Path,
           thresholds: tuple[float, ...], fps: int, size: tuple[int, int], theme: str, product: str, height_m: float,
           pixel_km: float, as_json: bool) -> int:
    """Draw observed and predicted frames side by side, as pictures, an animation or a NetCDF file."""
    from engine.jobs.export_request import ExportRequest

    request = ExportRequest(output=output, paths=paths, forecast=forecast_file, thresholds=thresholds, fps=fps,
                            size=size, theme=theme, options=PolarOptions(product, height_m, pixel_km))
    return answer("export", request, as_json, printing.plain)


@cli.command()
@paths_argument
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help=".nc or .zarr.")
@click.option("--crop", type=Numbers("W,S,E,N"), help="Degrees of longitude and latitude.")
@click.option("--pixel-km", type=click.FloatRange(0.01, 100), help="Pixel size, averaged by area if larger.")
@click.option("--crs", help="Projection, such as EPSG:3035 or a PROJ string.")
@click.option("--method", type=click.Choice(["mean", "max", "bilinear", "nearest"]), help="How pixels are resampled.")
@click.option("--step", type=click.FloatRange(1, 1440 * 31), help="Minutes; mean rain rate over each step.")
@click.option("--fill", type=click.Choice(["refuse", "nearest", "linear"]), help="What becomes of gaps.")
@click.option("--zr", type=Numbers("a,b"), help="Another Z-R pair.")
@click.option("--mask", type=click.Path(path_type=Path), help="An outlier mask, as 'denoise' writes it.")
@click.option("--clutter-filter", is_flag=True, help="Weak echo becomes none.")
@polar_map
@json_option
def convert(*, paths: tuple[Path, ...], output: Path, crop: tuple[float, float, float, float] | None,
            pixel_km: float | None, crs: str | None, method: Any, step: float | None, fill: str | None,
            zr: tuple[float, float] | None, mask: Path | None, clutter_filter: bool, height_m: float, product: str,
            as_json: bool) -> int:
    """Write an archive as CF NetCDF or Zarr: cropped, resampled, filled, averaged over time."""
    from engine.jobs.convert import Changes, ConvertRequest

    changes = Changes(zr=zr, mask=mask, clutter_filter=clutter_filter, crop=crop, fill=fill, pixel_km=pixel_km,
                      crs=crs, method=method, step_minutes=step)
    options = PolarOptions(product, height_m)
    return answer("convert", ConvertRequest(paths, output, changes, options), as_json, printing.plain)


@cli.command()
@paths_argument
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where the mask is written besides (.npz).")
@polar_options
@json_option
def denoise(*, paths: tuple[Path, ...], output: Path | None, product: str, height_m: float, pixel_km: float,
            as_json: bool) -> int:
    """Find the places of an archive that are clutter; the mask is kept and can be switched on in the window."""
    from engine.jobs.denoise import DenoiseRequest

    request = DenoiseRequest(paths, output, PolarOptions(product, height_m, pixel_km))
    return answer("denoise", request, as_json, printing.plain)


@cli.command()
@paths_argument
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The pack (.h5).")
@click.option("--length", type=click.IntRange(2, 1000), default=25, show_default=True, help="Frames of a sequence.")
@click.option("--stride", type=click.IntRange(1), help="Frames from one sequence to the next; its length if not given.")
@click.option("--tile", type=click.IntRange(8), help="Cells along each side; the whole grid if not given.")
@click.option("--threshold", type=click.FloatRange(0, min_open=True), default=0.5, show_default=True, help="mm/h.")
@click.option("--least-rain", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="Share of cells that reach the threshold.")
@click.option("--most-missing", type=click.FloatRange(0, 1), default=1.0, show_default=True,
              help="Share of cells without data that is allowed.")
@click.option("--bits", type=click.Choice(["8", "16"]), default="8", show_default=True)
@click.option("--split", type=Numbers("train,validation,test"), default="0.8,0.1,0.1", show_default=True,
              help="Shares in time.")
@click.option("--validation-from", type=Moment(), help="Instead of shares: where validation begins.")
@click.option("--test-from", type=Moment(), help="Instead of shares: where test begins.")
@click.option("--moving-frame", type=click.IntRange(0), default=0,
              help="See each sequence carried along with the rain; so many frames are inputs. 0: on the map.")
@click.option("--step", "step_minutes", type=click.FloatRange(0), default=0.0,
              help="Minutes between frames, for --moving-frame only.")
@click.option("--crop", type=Numbers("W,S,E,N"), help="Degrees of longitude and latitude.")
@click.option("--pixel-km", type=click.FloatRange(0.01, 100), help="Pixel size, averaged by area if larger.")
@click.option("--beside", multiple=True, type=click.Choice(["measurement_height", "rain_probability"]),
              help="Hold this field of MeteoNet's as well.")
@polar_map
@json_option
def pack(*, paths: tuple[Path, ...], output: Path, length: int, stride: int | None, tile: int | None,
         threshold: float, least_rain: float, most_missing: float, bits: str, split: tuple[float, float, float],
         validation_from: datetime | None, test_from: datetime | None, moving_frame: int, step_minutes: float,
         crop: tuple[float, float, float, float] | None, pixel_km: float | None, product: str, height_m: float,
         beside: tuple[str, ...], as_json: bool) -> int:
    """Cut archives to sequences for training: each folder is an archive, files that are named belong to one."""
    from engine.jobs.convert import Changes
    from engine.jobs.pack import PackRequest, PackSettings

    if (validation_from is None) != (test_from is None):
        raise WrongUsage("Name both --validation-from and --test-from, or neither.")
    cuts = None if validation_from is None or test_from is None else (validation_from, test_from)
    settings = PackSettings(length=length, stride=stride, tile=tile, threshold=threshold, least_rain=least_rain,
                            most_missing=most_missing, bits=int(bits), split=split, cuts=cuts,
                            moving=moving_frame, step_minutes=step_minutes, beside=beside)
    request = PackRequest(paths, output, settings, Changes(crop=crop, pixel_km=pixel_km),
                          PolarOptions(product, height_m))
    return answer("pack", request, as_json, printing.plain)


@cli.command()
@click.argument("recipe")
@click.option("--pack", "packs", type=click.Path(path_type=Path), multiple=True, help="Instead of the recipe's packs.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder of the run; NAME-run if not given.")
@click.option("--resume", is_flag=True, help="Go on with the run in that folder.")
@click.option("--start-from", type=click.Path(path_type=Path), help="Weights to begin with.")
@click.option("--steps", type=click.IntRange(1), help="Instead of the recipe's length.")
@click.option("--seed", type=click.IntRange(0), help="Instead of the recipe's.")
@click.option("--workers", type=click.IntRange(0, 64), help="Processes that read ahead.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@json_option
def train(*, recipe: str, packs: tuple[Path, ...], output: Path | None, resume: bool, start_from: Path | None,
          steps: int | None, seed: int | None, workers: int | None, device: str, as_json: bool) -> int:
    """Train a network by RECIPE, a .toml file or the name of one that ships. Several processes: with torchrun."""
    from engine.jobs.train import TrainRequest

    request = TrainRequest(recipe, packs, output, resume, device, start_from, steps, seed, workers)
    return answer("train", request, as_json, printing.plain)


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="best", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Weight file; the user's own folder if absent.")
@click.option("--weaknesses", default="", help="A sentence for the card: what these weights do badly.")
@json_option
def promote(*, run: Path, checkpoint: str, output: Path | None, weaknesses: str, as_json: bool) -> int:
    """Make a checkpoint of the training RUN the weights that forecasts use."""
    from engine.jobs.promote import PromoteRequest

    return answer("promote", PromoteRequest(run, checkpoint, output, weaknesses), as_json, printing.plain)


@cli.command("import-weights")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="simvp, tau, earthformer or earthformer-sevir.")
@click.option("--step-minutes", type=click.FloatRange(0.5, 60), required=True, help="Of the data it was trained on.")
@click.option("--pixel-km", type=click.FloatRange(0.01, 100), required=True, help="Of the data it was trained on.")
@click.option("--trained-on", required=True, help="The data it was trained on, in words.")
@click.option("--zr", nargs=2, type=float, default=(200.0, 1.6), show_default=True, help="a and b of Z = a R^b.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="MODEL.safetensors")
@json_option
def import_weights(*, checkpoint: Path, model: str, step_minutes: float, pixel_km: float, trained_on: str,
                   zr: tuple[float, float], output: Path, as_json: bool) -> int:
    """Make a weight file of a published PyTorch checkpoint; nothing in it is executed."""
    from engine.jobs.import_weights import ImportRequest

    request = ImportRequest(checkpoint, model, output, step_minutes, pixel_km, trained_on, *zr)
    return answer("import-weights", request, as_json, printing.plain)


@cli.command()
@paths_argument
@click.option("--forecasters", required=True, help="Names that 'models' lists, separated by commas.")
@click.option("--protocol", type=click.Choice(["offline", "online"]), default="offline", show_default=True)
@click.option("--inputs", type=click.IntRange(1), default=5, show_default=True, help="Input frames.")
@click.option("--lead-times", type=click.IntRange(1), default=20, show_default=True, help="Frames to forecast.")
@click.option("--every", type=click.IntRange(1), default=5, show_default=True, help="Frames between sequences.")
@thresholds_option
@click.option("--small-values", is_flag=True, help="Leave out pixels 1 to 70 of 255, as for HKO-7.")
@click.option("--paper-outputs", is_flag=True,
              help="Score one-step predictions of the inputs too (DB-RNN and FFL papers); not comparable otherwise.")
@click.option("--limit", type=click.IntRange(1), help="At most so many sequences of each archive.")
@click.option("--crop", type=Numbers("W,S,E,N"), help="Degrees of longitude and latitude.")
@click.option("--pixel-km", type=click.FloatRange(0.01, 100), help="Pixel size, averaged by area if larger.")
@click.option("--mask", type=click.Path(path_type=Path), help="An outlier mask, as 'denoise' writes it.")
@click.option("--work", type=click.Path(path_type=Path), help="Keeps results; a killed run goes on from it.")
@click.option("--table", type=click.Path(path_type=Path), multiple=True, help="Also write .csv, .md, .tex or .json.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--seeds", type=Seeds(), default="0", show_default=True,
              help="For forecasters that draw random numbers or have weights of several seeds.")
@click.option("--workers", type=click.IntRange(1), help="Share the work among so many processes (Dask).")
@click.option("--scheduler", help="Share it with the Dask cluster at this address instead.")
@polar_map
@json_option
def benchmark(*, paths: tuple[Path, ...], forecasters: str, protocol: str, inputs: int, lead_times: int, every: int,
              thresholds: tuple[float, ...], small_values: bool, paper_outputs: bool, limit: int | None,
              crop: tuple[float, float, float, float] | None, pixel_km: float | None, mask: Path | None,
              work: Path | None, table: tuple[Path, ...], device: str, seeds: tuple[int, ...], workers: int | None,
              scheduler: str | None, product: str, height_m: float, as_json: bool) -> int:
    """The HKO-7 protocol over whole archives (each PATH is one): the same sequences for every forecaster."""
    from engine.jobs.benchmark import BenchmarkRequest
    from engine.jobs.convert import Changes

    request = BenchmarkRequest(
        archives=tuple((path,) for path in paths), forecasters=tuple(forecasters.split(",")), protocol=protocol,
        inputs=inputs, lead_times=lead_times, every=every, thresholds=thresholds, small_values=small_values,
        paper_outputs=paper_outputs, device=device, seeds=seeds, work=work, limit=limit, tables=table,
        changes=Changes(mask=mask, crop=crop, pixel_km=pixel_km), workers=workers, scheduler=scheduler,
        options=PolarOptions(product, height_m))
    return answer("benchmark", request, as_json, printing.benchmark)


@cli.command()
@paths_argument
@click.option("--forecaster", "forecasters", required=True, multiple=True,
              help="A name that 'models' lists; several times for several.")
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="Folder for the forecast files; one in your data folder if not given.")
@click.option("--inputs", type=click.IntRange(1), default=5, show_default=True, help="Input frames.")
@click.option("--lead-times", type=click.IntRange(1), default=20, show_default=True, help="Frames to forecast.")
@thresholds_option
@click.option("--every", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True,
              help="Seconds between two looks at the folder.")
@click.option("--frames", type=click.IntRange(1), help="Stop after so many new frames; else at Ctrl+C.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--seed", type=int, default=0, show_default=True)
@polar_options
@json_option
def watch(*, paths: tuple[Path, ...], forecasters: tuple[str, ...], output: Path | None, inputs: int, lead_times: int,
          thresholds: tuple[float, ...], every: float, frames: int | None, device: str, seed: int, product: str,
          height_m: float, pixel_km: float, as_json: bool) -> int:
    """Follow a folder: forecast at each new frame, score earlier forecasts as their observations come."""
    from engine.jobs.watch import WatchRequest

    request = WatchRequest(paths, forecasters, output, inputs, lead_times, device, seed, thresholds, every, frames,
                           PolarOptions(product, height_m, pixel_km))
    return answer("watch", request, as_json, printing.plain)


def _box(degrees: tuple[float, float, float, float]) -> Region:
    from engine.radar.region import Region

    try:
        return Region.box(*degrees)
    except ValueError as problem:
        raise WrongUsage(str(problem)) from problem


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the contract's exit code and never raises."""
    try:
        code = cli.main(args=None if arguments is None else list(arguments), prog_name="stormdeck-engine",
                        standalone_mode=False)
    except click.exceptions.Abort:
        return 6
    except click.ClickException as problem:
        problem.show()
        return 2
    except WrongUsage as problem:
        complain(problem)
        return problem.exit_code
    return int(code or 0)
