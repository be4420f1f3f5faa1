"""The register: everything that can be chosen by name, as frozen rows of text.

Menus and ``stormdeck-engine models`` are filled from these rows without loading what they name.
Plug-ins add rows through the entry-point group ``stormdeck.plugins``: each entry point is a tuple of rows.
"""

from __future__ import annotations

import difflib
import importlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from engine.errors import WrongUsage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """kind: reader, forecaster, deblurrer, downscaler or job. target: "module" or "module:object". needs: modules of
    an extra without which it cannot run. reads: fields that it reads beside the rain."""

    kind: str
    name: str
    title: str
    target: str
    family: str = ""
    parameters: int = 0
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


_NEURAL = "engine.forecasters.neural:NeuralForecaster"
_DRAWING = "engine.forecasters.generative:GenerativeForecaster"
_STAGE = "engine.deblurrers.sequence:SequenceStage"
_REFINING = "engine.downscalers.neural:NeuralDownscaler"

ROWS: tuple[Row, ...] = (
    Row("reader", "stormdeck-forecast", "Stormdeck forecast file", "engine.archives.forecast_file"),
    Row("reader", "odim-hdf5", "ODIM HDF5 composite", "engine.archives.odim"),
    Row("reader", "knmi-hdf5", "KNMI HDF5", "engine.archives.knmi"),
    Row("reader", "dwd-radolan", "DWD RADOLAN", "engine.archives.radolan"),
    Row("reader", "dwd-radolan-ascii", "DWD RADOLAN ASCII grid", "engine.archives.radolan_ascii"),
    Row("reader", "rydl-hdf5", "RainNet RYDL", "engine.archives.rydl"),
    Row("reader", "meteoswiss-gif", "MeteoSwiss GIF", "engine.archives.meteoswiss_gif"),
    Row("reader", "fmi-pgm", "FMI PGM", "engine.archives.fmi_pgm"),
    Row("reader", "mrms-grib2", "GRIB2 radar composite", "engine.archives.mrms"),
    Row("reader", "geotiff", "GeoTIFF", "engine.archives.geotiff"),
    Row("reader", "iris-product", "IRIS product", "engine.archives.iris_products"),
    Row("reader", "polar", "Polar radar data", "engine.archives.polar"),
    Row("reader", "cf-netcdf", "CF NetCDF", "engine.archives.cf_netcdf"),
    Row("reader", "cf-zarr", "CF Zarr", "engine.archives.cf_zarr"),
    Row("reader", "meteonet", "MeteoNet", "engine.archives.meteonet"),
    Row("reader", "sevir", "SEVIR", "engine.archives.sevir"),
    Row("reader", "taasrad19", "TAASRAD19", "engine.archives.taasrad19"),
    Row("reader", "taasrad19-ascii", "TAASRAD19 ASCII grid", "engine.archives.taasrad19_ascii"),
    Row("reader", "h5-stacks", "HDF5 image stacks", "engine.archives.h5_stacks"),
    Row("reader", "image-folder", "image folder", "engine.archives.image_folder"),

    Row("forecaster", "persistence", "Persistence (last frame)", "engine.forecasters.persistence:Persistence",
        "extrapolation"),
    Row("forecaster", "rover-linear", "ROVER, linear", "engine.forecasters.rover:RoverLinear", "optical flow"),
    Row("forecaster", "rover-nonlinear", "ROVER, non-linear", "engine.forecasters.rover:RoverNonlinear",
        "optical flow"),
    Row("forecaster", "rover-linear-eulerian", "ROVER, linear, repeated warp (benchmark protocol)",
        "engine.forecasters.rover:RoverLinearEulerian", "optical flow"),
    Row("forecaster", "rover-nonlinear-eulerian", "ROVER, non-linear, repeated warp (benchmark protocol)",
        "engine.forecasters.rover:RoverNonlinearEulerian", "optical flow"),
    Row("forecaster", "pysteps-sprog", "S-PROG (pysteps)", "engine.forecasters.pysteps_methods:SProg", "to compare",
        needs=("pysteps", "cv2")),
    Row("forecaster", "pysteps-anvil", "ANVIL (pysteps)", "engine.forecasters.pysteps_methods:Anvil", "to compare",
        needs=("pysteps", "cv2")),

    # networks: a row with parameters needs weights; the counts are those of engine.networks.zoo, a test sees to it
    Row("forecaster", "lagrangian-unet", "Lagrangian U-Net",
        "engine.forecasters.lagrangian:LagrangianForecaster", "moving frame", 1_306_104),
    Row("forecaster", "convgru", "ConvGRU", _NEURAL, "encoder-forecaster", 13_649_081),
    Row("forecaster", "trajgru", "TrajGRU", _NEURAL, "encoder-forecaster", 12_150_053),
    Row("forecaster", "convlstm", "ConvLSTM", _NEURAL, "encoder-forecaster", 12_229_881),
    Row("forecaster", "convgru-mnist-k3d2", "ConvGRU K3-D2, MovingMNIST++", _NEURAL, "encoder-forecaster", 2_604_817),
    Row("forecaster", "convgru-mnist-k5", "ConvGRU K5-D1, MovingMNIST++", _NEURAL, "encoder-forecaster", 4_767_505),
    Row("forecaster", "convgru-mnist-k7", "ConvGRU K7-D1, MovingMNIST++", _NEURAL, "encoder-forecaster", 8_011_537),
    Row("forecaster", "trajgru-mnist-l5", "TrajGRU, 5 links, MovingMNIST++", _NEURAL, "encoder-forecaster", 2_842_157),
    Row("forecaster", "trajgru-mnist-l9", "TrajGRU, 9 links, MovingMNIST++", _NEURAL, "encoder-forecaster", 3_421_277),
    Row("forecaster", "trajgru-mnist-l13", "TrajGRU, 13 links, MovingMNIST++", _NEURAL, "encoder-forecaster",
        4_000_397),
    Row("forecaster", "trajgru-mnist-l17", "TrajGRU, 17 links, MovingMNIST++", _NEURAL, "encoder-forecaster",
        4_579_517),
    Row("forecaster", "convlstm-mnist", "ConvLSTM, MovingMNIST++", _NEURAL, "encoder-forecaster", 3_324_593),
    Row("forecaster", "dfn", "Dynamic filter network", _NEURAL, "encoder-forecaster", 14_002_856),
    Row("forecaster", "dfn-mnist", "Dynamic filter network, MovingMNIST++", _NEURAL, "encoder-forecaster", 4_825_648),
    Row("forecaster", "cnn2d", "2-D CNN", _NEURAL, "convolutional", 57_386_062),
    Row("forecaster", "cnn3d", "3-D CNN", _NEURAL, "convolutional", 66_422_569),
    Row("forecaster", "cnn2d-mnist", "2-D CNN, MovingMNIST++", _NEURAL, "convolutional", 29_073_880),
    Row("forecaster", "cnn3d-mnist", "3-D CNN, MovingMNIST++", _NEURAL, "convolutional", 32_522_561),
    Row("forecaster", "stacked-convlstm", "ConvLSTM, stacked", _NEURAL, "stacked", 886_465),
    Row("forecaster", "stacked-trajgru", "TrajGRU, stacked", _NEURAL, "stacked", 1_057_213),
    Row("forecaster", "stacked-predrnn", "PredRNN, stacked", _NEURAL, "stacked", 1_797_505),
    Row("forecaster", "stacked-mim", "MIM, stacked", _NEURAL, "stacked", 3_680_833),
    Row("forecaster", "stacked-motionrnn", "MotionRNN, stacked", _NEURAL, "stacked", 3_780_370),
    Row("forecaster", "ms-convlstm", "MS-ConvLSTM", _NEURAL, "multi-scale", 250_057),
    Row("forecaster", "ms-trajgru", "MS-TrajGRU", _NEURAL, "multi-scale", 286_465),
    Row("forecaster", "ms-predrnn", "MS-PredRNN", _NEURAL, "multi-scale", 507_097),
    Row("forecaster", "ms-predrnn++", "MS-PredRNN++", _NEURAL, "multi-scale", 685_753),
    Row("forecaster", "ms-mim", "MS-MIM", _NEURAL, "multi-scale", 986_233),
    Row("forecaster", "ms-motionrnn", "MS-MotionRNN", _NEURAL, "multi-scale", 1_073_287),
    Row("forecaster", "ms-preciplstm", "MS-PrecipLSTM", _NEURAL, "multi-scale", 993_097),
    Row("forecaster", "ms-lstm", "MS-LSTM", _NEURAL, "multi-scale", 1_067_257),
    Row("forecaster", "ms-convlstm-s", "MS-ConvLSTM-S", _NEURAL, "staged", 500_114),
    Row("forecaster", "ms-trajgru-s", "MS-TrajGRU-S", _NEURAL, "staged", 572_930),
    Row("forecaster", "ms-predrnn-s", "MS-PredRNN-S", _NEURAL, "staged", 1_014_194),
    Row("forecaster", "ms-predrnn++-s", "MS-PredRNN++-S", _NEURAL, "staged", 1_371_506),
    Row("forecaster", "ms-mim-s", "MS-MIM-S", _NEURAL, "staged", 1_972_466),
    Row("forecaster", "ms-motionrnn-s", "MS-MotionRNN-S", _NEURAL, "staged", 2_146_574),
    Row("forecaster", "ms-preciplstm-s", "MS-PrecipLSTM-S", _NEURAL, "staged", 1_986_194),
    Row("forecaster", "db-convlstm", "DB-ConvLSTM", _NEURAL, "deblurring", 500_114),
    Row("forecaster", "db-trajgru", "DB-TrajGRU", _NEURAL, "deblurring", 572_930),
    Row("forecaster", "db-predrnn", "DB-PredRNN", _NEURAL, "deblurring", 1_014_194),
    Row("forecaster", "db-predrnn++", "DB-PredRNN++", _NEURAL, "deblurring", 1_371_506),
    Row("forecaster", "db-mim", "DB-MIM", _NEURAL, "deblurring", 1_972_466),
    Row("forecaster", "db-motionrnn", "DB-MotionRNN", _NEURAL, "deblurring", 2_146_574),
    Row("forecaster", "db-preciplstm", "DB-PrecipLSTM", _NEURAL, "deblurring", 1_986_194),
    Row("forecaster", "simvp", "SimVP (gSTA)", _NEURAL, "convolutional", 40_241_665),
    Row("forecaster", "tau", "TAU", _NEURAL, "convolutional", 38_425_281),
    Row("forecaster", "earthformer", "Earthformer, 160 x 160", _NEURAL, "transformer", 7_171_933),
    Row("forecaster", "earthformer-sevir", "Earthformer, SEVIR 384 x 384", _NEURAL, "transformer", 8_659_677),
    Row("forecaster", "lpt-qpn", "LPT-QPN", _NEURAL, "transformer", 4_636_747),

    Row("forecaster", "dgmr", "DGMR", _DRAWING, "generative", 52_782_157),
    Row("forecaster", "dgmr-small", "DGMR, small", _DRAWING, "generative", 3_304_123),
    Row("forecaster", "diffcast", "DiffCast", _DRAWING, "generative", 57_332_998),
    Row("forecaster", "diffcast-small", "DiffCast, small", _DRAWING, "generative", 1_120_966),
    Row("forecaster", "cascast", "CasCast", _DRAWING, "generative", 401_554_946),
    Row("forecaster", "cascast-small", "CasCast, small", _DRAWING, "generative", 4_159_510),
    Row("forecaster", "strpm", "STRPM", _NEURAL, "adversarial", 115_432_838),
    Row("forecaster", "strpm-small", "STRPM, small", _NEURAL, "adversarial", 346_302),

    Row("deblurrer", "probability-matching", "Probability matching",
        "engine.deblurrers.yardsticks:ProbabilityMatching", "without learning"),
    Row("deblurrer", "unsharp", "Unsharp masking", "engine.deblurrers.yardsticks:Unsharp", "without learning"),
    Row("deblurrer", "wiener", "Wiener deconvolution", "engine.deblurrers.yardsticks:Wiener", "without learning"),
    Row("deblurrer", "ms-convlstm-stage", "MS-ConvLSTM, deblurring stage", _STAGE, "staged", 250_057),
    Row("deblurrer", "ms-predrnn-stage", "MS-PredRNN, deblurring stage", _STAGE, "staged", 507_097),
    Row("deblurrer", "postcast", "PostCast", "engine.deblurrers.postcast:PostCastSmall", "diffusion", 2_183_940),
    Row("deblurrer", "postcast-paper", "PostCast, the paper's size", "engine.deblurrers.postcast:PostCast",
        "diffusion", 552_814_086),

    Row("deblurrer", "dgp", "DGP", "engine.deblurrers.dgp:DGP", "generative", 892_114),

    Row("downscaler", "trilinear", "Trilinear", "engine.downscalers.interpolation:Trilinear", "interpolation"),
    Row("downscaler", "flow-interpolation", "Along the motion",
        "engine.downscalers.flow_interpolation:FlowInterpolation", "optical flow"),
    Row("downscaler", "rainfarm", "RainFARM (drawn detail)", "engine.downscalers.rainfarm:RainFarm", "stochastic"),
    Row("downscaler", "unet", "U-Net", _REFINING, "U-Net", 7_697_484),
    Row("downscaler", "unet3d", "UNet3D (DCN)", _REFINING, "U-Net", 5_427_681),
    Row("downscaler", "zsm", "Zooming Slow-Mo", _REFINING, "zooming slow-mo", 8_737_073),
    Row("downscaler", "fc-zsm-d", "FC-ZSM, dynamic fields", _REFINING, "zooming slow-mo", 8_738_225,
        reads=("precipitation rate", "measurement height")),
    Row("downscaler", "fc-zsm-s", "FC-ZSM, fixed fields", _REFINING, "zooming slow-mo", 9_476_465,
        reads=("elevation", "land-sea mask")),
    Row("downscaler", "fc-zsm-ds", "FC-ZSM, dynamic and fixed fields", _REFINING, "zooming slow-mo", 9_477_617,
        reads=("precipitation rate", "measurement height", "elevation", "land-sea mask")),

    Row("downscaler", "unet-small", "U-Net, small", _REFINING, "U-Net", 482_220),
    Row("downscaler", "unet3d-small", "UNet3D, small", _REFINING, "U-Net", 339_705),
    Row("downscaler", "zsm-small", "Zooming Slow-Mo, small", _REFINING, "zooming slow-mo", 492_941),
    Row("downscaler", "fc-zsm-s-small", "FC-ZSM, fixed fields, small", _REFINING, "zooming slow-mo", 520_989,
        reads=("land-sea mask",)),

    # a job's family is the lane it runs in; the device lane where none is named
    Row("job", "warm-up", "Start the engine", "engine.jobs.warm_up:run"),
    Row("job", "forecast", "Run a forecast", "engine.jobs.forecast:run"),
    Row("job", "open", "Open an archive", "engine.jobs.open:run", "files"),
    Row("job", "parts", "List the sequences of a file", "engine.jobs.parts:run", "files"),
    Row("job", "info", "Describe an archive", "engine.jobs.info:run", "files"),
    Row("job", "describe", "Describe a folder of images", "engine.jobs.describe:run", "files"),
    Row("job", "models", "List the models", "engine.jobs.models:run", "files"),
    Row("job", "verify", "Score forecasts", "engine.jobs.verify:run", "files"),
    Row("job", "benchmark", "Benchmark", "engine.jobs.benchmark:run"),
    Row("job", "sample", "Write a synthetic storm", "engine.jobs.sample:run", "files"),
    Row("job", "export", "Export frames", "engine.jobs.export:run", "files"),
    Row("job", "convert", "Convert an archive", "engine.jobs.convert:run", "files"),
    Row("job", "denoise", "Find clutter", "engine.jobs.denoise:run", "files"),
    Row("job", "pack", "Cut a training pack", "engine.jobs.pack:run", "packs"),
    Row("job", "train", "Train a network", "engine.jobs.train:run"),
    Row("job", "promote", "Use a trained network for forecasts", "engine.jobs.promote:run", "runs"),
    Row("job", "training-look", "Look at training runs", "engine.jobs.training_look:run", "runs"),
    Row("job", "training-start", "Start a training run", "engine.jobs.training_desk:start", "runs"),
    Row("job", "training-ask", "Pause or stop a training run", "engine.jobs.training_desk:answer", "runs"),
    Row("job", "training-sample", "Draw a sample forecast", "engine.jobs.training_sample:run", "display"),
    Row("job", "learn", "Learn from new frames", "engine.jobs.learn:run", "learning"),
    Row("job", "keep-learnt", "Keep what was learnt online", "engine.jobs.keep_learnt:run", "files"),
    Row("job", "recipes", "List the training recipes", "engine.jobs.training_desk:recipes", "files"),
    Row("job", "import-weights", "Import published weights", "engine.jobs.import_weights:run", "files"),
    Row("job", "display", "Prepare frames for the screen", "engine.jobs.display:run", "display"),
    Row("job", "difference", "Predicted minus observed", "engine.jobs.difference:run", "display"),
    Row("job", "contingency", "Hits and misses", "engine.jobs.contingency:run", "display"),
    Row("job", "diagnose", "Score beyond counts", "engine.jobs.diagnose:run", "scores"),
    Row("job", "save", "Save a panel", "engine.jobs.save:run", "display"),
    Row("job", "watch", "Follow a folder", "engine.jobs.watch:run"),
    Row("job", "refresh", "Look at an archive again", "engine.jobs.refresh:run", "files"),
    Row("job", "keep", "Keep a forecast for its observations", "engine.jobs.rolling:keep", "files"),
    Row("job", "rolling", "Score earlier forecasts", "engine.jobs.rolling:run", "files"),
    Row("job", "outline", "Read outlines of regions", "engine.jobs.outline:run", "files"),
    Row("job", "rescore", "Score at other thresholds", "engine.jobs.rescore:run", "scores"),
    Row("job", "basemap", "Coasts and borders", "engine.jobs.basemap:run", "display"),
    Row("job", "region-cells", "Count the cells of a region", "engine.jobs.region_cells:run", "display"),
)


@lru_cache(maxsize=1)
def _plugins() -> tuple[Row, ...]:
    rows: list[Row] = []
    for entry in entry_points(group="stormdeck.plugins"):
        try:
            rows.extend(entry.load())
        except Exception:  # a broken plug-in must not stop the program
            log.warning("plug-in %s could not be loaded", entry.name, exc_info=True)
    return tuple(rows)


def rows(kind: str) -> tuple[Row, ...]:
    """All rows of a kind, built-in ones first, in the order in which menus show them."""
    return tuple(row for row in (*ROWS, *_plugins()) if row.kind == kind)


def row(kind: str, name: str) -> Row:
    """Raises WrongUsage with a suggestion where there is no such name."""
    known = {candidate.name: candidate for candidate in rows(kind)}
    if name in known:
        return known[name]
    raise WrongUsage(f"There is no {kind} called '{name}'.{_suggestion(name, known)}")


def _suggestion(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(names)}."


def load(kind: str, name: str) -> Any:
    """The module or object that a row names, imported now."""
    module, _, attribute = row(kind, name).target.partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, attribute) if attribute else loaded
