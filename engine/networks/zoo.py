"""Every network of the papers by its public name, with the parameter count it must reach to the unit.

What the papers print instead is told in :mod:`engine.networks.published`.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.networks.configuration import Configuration, Option

Levels = tuple[dict[str, Option], ...]


@dataclass(frozen=True)
class Entry:
    """parameters: exact."""

    title: str
    family: str
    parameters: int
    configuration: Configuration


def _gru(title: str, parameters: int, kernel: int, dilation: int) -> Entry:
    made = Configuration("encoder-forecaster", "convgru", "moving-mnist", inputs=10, leads=10,
                         cell_options={"kernel": kernel, "dilation": dilation})
    return Entry(title, "encoder-forecaster", parameters, made)


def _trajectories(links: int, parameters: int) -> Entry:
    made = Configuration("encoder-forecaster", "trajgru", "moving-mnist", inputs=10, leads=10,
                         cell_options={"links": links})
    return Entry(f"TrajGRU, {links} links, MovingMNIST++", "encoder-forecaster", parameters, made)


def _chain(title: str, which: str, parameters: int, frames: tuple[int, int]) -> Entry:
    made = Configuration("chain", topology=which, inputs=frames[0], leads=frames[1])
    return Entry(title, "convolutional", parameters, made)


def _stacked(title: str, cell: str, parameters: int, **options: Option) -> Entry:
    made = Configuration("recurrent", cell, "stacked", 64, inputs=10, leads=10, cell_options=dict(options))
    return Entry(f"{title}, stacked", "stacked", parameters, made)


def _multi(title: str, cell: str, topology: str, parameters: int, **options: Option) -> Entry:
    made = Configuration("recurrent", cell, topology, 24, inputs=5, leads=5, cell_options=dict(options))
    prefix = {"multi-scale": "MS", "deblurring": "DB"}[topology]
    return Entry(f"{prefix}-{title}", topology, parameters, made)


def _staged(title: str, cell: str, parameters: int, **options: Option) -> Entry:
    """Two multi-scale networks, one after the other."""
    made = Configuration("staged", cell, "multi-scale", 24, inputs=5, leads=5, cell_options=dict(options))
    return Entry(f"MS-{title}-S", "staged", parameters, made)


def _stage(title: str, cell: str, parameters: int) -> Entry:
    """The second of them alone, behind anybody's forecast."""
    made = Configuration("sequence-deblurrer", cell, "multi-scale", 24, inputs=5, leads=20)
    return Entry(f"MS-{title}, deblurring stage", "staged", parameters, made)


_HKO_KERNELS: Levels = tuple({"kernel": kernel} for kernel in (5, 5, 3))
_HKO_LINKS: Levels = tuple({"links": links} for links in (13, 13, 9))

ZOO: dict[str, Entry] = {
    "convgru": Entry("ConvGRU", "encoder-forecaster", 13_649_081,
                     Configuration("encoder-forecaster", "convgru", "hko7", levels=_HKO_KERNELS)),
    "trajgru": Entry("TrajGRU", "encoder-forecaster", 12_150_053,
                     Configuration("encoder-forecaster", "trajgru", "hko7", levels=_HKO_LINKS)),
    "convlstm": Entry("ConvLSTM", "encoder-forecaster", 12_229_881,
                      Configuration("encoder-forecaster", "convlstm", "hko7")),
    "convgru-mnist-k3d2": _gru("ConvGRU K3-D2, MovingMNIST++", 2_604_817, 3, 2),
    "convgru-mnist-k5": _gru("ConvGRU K5-D1, MovingMNIST++", 4_767_505, 5, 1),
    "convgru-mnist-k7": _gru("ConvGRU K7-D1, MovingMNIST++", 8_011_537, 7, 1),
    "trajgru-mnist-l5": _trajectories(5, 2_842_157),
    "trajgru-mnist-l9": _trajectories(9, 3_421_277),
    "trajgru-mnist-l13": _trajectories(13, 4_000_397),
    "trajgru-mnist-l17": _trajectories(17, 4_579_517),
    "convlstm-mnist": Entry("ConvLSTM, MovingMNIST++", "encoder-forecaster", 3_324_593,
                            Configuration("encoder-forecaster", "convlstm", "moving-mnist", inputs=10, leads=10)),
    "dfn": Entry("Dynamic filter network", "encoder-forecaster", 14_002_856,
                 Configuration("encoder-forecaster", "convgru", "hko7", levels=_HKO_KERNELS,
                               options={"local_filter": 11})),
    "dfn-mnist": Entry("Dynamic filter network, MovingMNIST++", "encoder-forecaster", 4_825_648,
                       Configuration("encoder-forecaster", "convgru", "moving-mnist", inputs=10, leads=10,
                                     cell_options={"kernel": 5}, options={"local_filter": 11})),
    "cnn2d": _chain("2-D CNN", "cnn2d-hko7", 57_386_062, (5, 20)),
    "cnn3d": _chain("3-D CNN", "cnn3d-hko7", 66_422_569, (5, 20)),
    "cnn2d-mnist": _chain("2-D CNN, MovingMNIST++", "cnn2d-mnist", 29_073_880, (10, 10)),
    "cnn3d-mnist": _chain("3-D CNN, MovingMNIST++", "cnn3d-mnist", 32_522_561, (10, 10)),

    "stacked-convlstm": _stacked("ConvLSTM", "convlstm", 886_465),
    "stacked-trajgru": _stacked("TrajGRU", "trajgru", 1_057_213),
    "stacked-predrnn": _stacked("PredRNN", "predrnn", 1_797_505),
    "stacked-mim": _stacked("MIM", "mim", 3_680_833, allocation="reference"),
    "stacked-motionrnn": _stacked("MotionRNN", "motionrnn", 3_780_370),

    "ms-convlstm": _multi("ConvLSTM", "convlstm", "multi-scale", 250_057),
    "ms-trajgru": _multi("TrajGRU", "trajgru", "multi-scale", 286_465, structure=(None, 3)),
    "ms-predrnn": _multi("PredRNN", "predrnn", "multi-scale", 507_097),
    "ms-predrnn++": _multi("PredRNN++", "predrnn++", "multi-scale", 685_753),
    "ms-mim": _multi("MIM", "mim", "multi-scale", 986_233, allocation="published"),
    "ms-motionrnn": _multi("MotionRNN", "motionrnn", "multi-scale", 1_073_287),
    "ms-preciplstm": _multi("PrecipLSTM", "preciplstm", "multi-scale", 993_097),
    "ms-lstm": _multi("LSTM", "ms-lstm", "multi-scale", 1_067_257),

    "ms-convlstm-s": _staged("ConvLSTM", "convlstm", 500_114),
    "ms-trajgru-s": _staged("TrajGRU", "trajgru", 572_930, structure=(None, 3)),
    "ms-predrnn-s": _staged("PredRNN", "predrnn", 1_014_194),
    "ms-predrnn++-s": _staged("PredRNN++", "predrnn++", 1_371_506),
    "ms-mim-s": _staged("MIM", "mim", 1_972_466, allocation="published"),
    "ms-motionrnn-s": _staged("MotionRNN", "motionrnn", 2_146_574),
    "ms-preciplstm-s": _staged("PrecipLSTM", "preciplstm", 1_986_194),

    "db-convlstm": _multi("ConvLSTM", "convlstm", "deblurring", 500_114),
    "db-trajgru": _multi("TrajGRU", "trajgru", "deblurring", 572_930, structure=(None, 3)),
    "db-predrnn": _multi("PredRNN", "predrnn", "deblurring", 1_014_194),
    "db-predrnn++": _multi("PredRNN++", "predrnn++", "deblurring", 1_371_506),
    "db-mim": _multi("MIM", "mim", "deblurring", 1_972_466, allocation="published"),
    "db-motionrnn": _multi("MotionRNN", "motionrnn", "deblurring", 2_146_574),
    "db-preciplstm": _multi("PrecipLSTM", "preciplstm", "deblurring", 1_986_194),

    "simvp": Entry("SimVP (gSTA)", "convolutional", 40_241_665,
                   Configuration("simvp", inputs=5, leads=5, options={"translator": "gsta"})),
    "tau": Entry("TAU", "convolutional", 38_425_281,
                 Configuration("simvp", inputs=5, leads=5, options={"translator": "tau"})),
    "earthformer": Entry("Earthformer, 160 x 160", "transformer", 7_171_933,
                         Configuration("earthformer", inputs=5, leads=5)),
    "earthformer-sevir": Entry("Earthformer, SEVIR 384 x 384", "transformer", 8_659_677,
                               Configuration("earthformer", inputs=13, leads=12,
                                             options={"grid": (384, 384), "separate": True})),
    "lagrangian-unet": Entry("Lagrangian U-Net", "moving frame", 1_306_104,
                             Configuration("lagrangian-unet", inputs=5, leads=20)),
    "lpt-qpn": Entry("LPT-QPN", "transformer", 4_636_747, Configuration("lpt-qpn", inputs=5, leads=20)),

    # networks that draw
    "dgmr": Entry("DGMR", "generative", 52_782_157, Configuration("dgmr", inputs=4, leads=18)),
    "dgmr-small": Entry("DGMR, small", "generative", 3_304_123,
                        Configuration("dgmr", inputs=4, leads=18, options={"latent": 192, "context": 96, "depth": 4})),
    "diffcast": Entry("DiffCast", "generative", 57_332_998, Configuration("diffcast")),
    "diffcast-small": Entry("DiffCast, small", "generative", 1_120_966,
                            Configuration("diffcast", options={"width": 16, "multipliers": (1, 2, 4), "spatial": 16,
                                                               "temporal": 64, "depth": 2, "sampling": 20})),
    "cascast": Entry("CasCast", "generative", 401_554_946, Configuration("cascast", inputs=13, leads=12)),
    "cascast-small": Entry("CasCast, small", "generative", 4_159_510,
                           Configuration("cascast", options={
                               "mean": "simvp", "coder": (16, 64, 4), "widths": (16, 32, 32), "blocks": 1, "groups": 8,
                               "single": (64, 4, 4), "joint": (192, 6, 4)})),
    "strpm": Entry("STRPM", "adversarial", 115_432_838, Configuration("strpm")),
    "strpm-small": Entry("STRPM, small", "adversarial", 346_302,
                         Configuration("strpm", options={"hidden": 24, "layers": 4, "halvings": 2, "tau": 3,
                                                         "kernel": 3})),

    # a deblurrer: random numbers in, a frame out
    "dgp": Entry("DGP", "generative", 892_114, Configuration("frame-gan", inputs=1, leads=1)),

    # deblurrers: a sequence in, the same sequence sharper out
    "ms-convlstm-stage": _stage("ConvLSTM", "convlstm", 250_057),
    "ms-predrnn-stage": _stage("PredRNN", "predrnn", 507_097),

    # deblurrers: a frame in, the noise in it out
    "postcast": Entry("PostCast", "diffusion", 2_183_940,
                      Configuration("diffusion-unet", inputs=1, leads=1,
                                    options={"base": 32, "multipliers": (1, 1, 2, 3), "blocks": 1, "attention": (),
                                             "groups": 8, "fold": 2, "velocity": True})),
    "postcast-paper": Entry("PostCast, the paper's size", "diffusion", 552_814_086,
                            Configuration("diffusion-unet", inputs=1, leads=1,
                                          options={"channels_in": 3, "channels_out": 6})),
}
