"""What the papers print about each network, beside what it really has; read without torch, for lists of models.

A figure agrees where the exact count rounds to it. Where it does not, the note says what is known about why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Counts = dict[str, int]


@dataclass(frozen=True)
class Published:
    """paper: short name of the paper that the network is built from. use: what it is good for. printed: the parameter
    count as a paper prints it, empty where none does. agrees: whether the exact count rounds to it. note: what to
    know about the two. others: counts of other readings of the same network, by what they are."""

    paper: str
    use: str
    printed: str = ""
    agrees: bool | None = None
    note: str = ""
    others: Counts = field(default_factory=dict)


@dataclass(frozen=True)
class Cost:
    """macs: multiply-accumulates of 5 + 5 - 1 steps of 160 x 160, in the convention of the DB-RNN paper's Table V.
    printed: what that table prints."""

    macs: int
    printed: str = ""


BENCHMARK, FFL, DB, MSLSTM = "benchmark", "FFL", "DB-RNN", "DB-RNN (Table VII)"

_GRU = "learned motion on three grids; the benchmark's own network, for large domains"
_TRAJ = "as ConvGRU, with a state gathered along learned flows: rotating and deforming rain"
_MNIST = "reproducing Table 1 on moving digits; no use for radar"
_CNN = "a plain baseline to compare with; blurs early"
_STACK = "comparisons with the focal frame loss; full grid in all layers, dear on large domains"
_MS = "the everyday recurrent forecaster: small, quick, any number of lead times"
_S = "sharpening a finished forecaster without training it anew"
_DB = "sharper than the multi-scale network at long lead times and heavy rain, for twice the cost"

_SWAPPED = "Table 1 has this cell and that of {} the wrong way round; the exact count rounds to the other one, {}."


def _ms(use: str, printed: str = "", agrees: bool | None = None, note: str = "",
        others: Counts | None = None) -> Published:
    return Published(DB, use, printed, agrees, note, others or {})


_HIGHWAY = "The reference allocates a gradient highway in every cell and runs one; here only that one exists."
_MOTION = "Nothing is printed; with MIM's lean cell it would be smaller."
_PRECIP = "No reading of the text gives 2.2 M."
_STAGED = "The paper prints no count; it is that of two multi-scale networks."

PUBLISHED: dict[str, Published] = {
    "convgru": Published(BENCHMARK, _GRU, note="Nothing is printed. Channels of the released configuration; "
                         "Table 15 prints others.", others={"Table 15 read literally": 12_780_409}),
    "trajgru": Published(BENCHMARK, _TRAJ, note="Nothing is printed. Channels of the released configuration; "
                         "Table 16 prints others.", others={"Table 16 read literally": 11_178_981}),
    "convlstm": Published(BENCHMARK, "as ConvGRU, with the LSTM's second memory", note="The paper has the structure "
                          "with ConvGRU and TrajGRU only; here ConvLSTM stands in it, with 3 x 3 kernels."),
    "convgru-mnist-k3d2": Published(BENCHMARK, _MNIST, "2.84 M", False, _SWAPPED.format("TrajGRU L5", "2.60 M")),
    "convgru-mnist-k5": Published(BENCHMARK, _MNIST, "4.77 M", True),
    "convgru-mnist-k7": Published(BENCHMARK, _MNIST, "8.01 M", True),
    "trajgru-mnist-l5": Published(BENCHMARK, _MNIST, "2.60 M", False, _SWAPPED.format("ConvGRU K3-D2", "2.84 M")),
    "trajgru-mnist-l9": Published(BENCHMARK, _MNIST, "3.42 M", True),
    "trajgru-mnist-l13": Published(BENCHMARK, _MNIST, "4.00 M", True),
    "trajgru-mnist-l17": Published(BENCHMARK, _MNIST, "4.77 M", False, "A copy of the figure of ConvGRU K5-D1: four "
                                   "more links must add the same 579 120 as from L5 to L9. 4.58 M is meant."),
    "convlstm-mnist": Published(BENCHMARK, _MNIST, note="Not in Table 1: ConvLSTM with 3 x 3 kernels in the structure "
                                "of Table 9."),
    "dfn": Published(BENCHMARK, "one filter for every pixel: shows where rain comes from",
                     note="The paper has this network for moving digits only; here the encoder-forecaster of HKO-7 "
                          "carries the same head."),
    "dfn-mnist": Published(BENCHMARK, _MNIST, "4.83 M", True),
    "cnn2d": Published(BENCHMARK, _CNN, note="Nothing is printed; Table 13."),
    "cnn3d": Published(BENCHMARK, _CNN, note="Nothing is printed; Table 14."),
    "cnn2d-mnist": Published(BENCHMARK, _MNIST, "29.06 M", False, "With half the decoder of Table 7 the weights "
                             "without biases and norms round to 29.06 M; all of it is 29.07 M.",
                             {"without biases and norms": 29_064_000, "Table 7 read literally": 59_061_250}),
    "cnn3d-mnist": Published(BENCHMARK, _MNIST, "32.52 M", True, "With half the decoder of Table 8.",
                             {"Table 8 read literally": 66_081_921}),
    "stacked-convlstm": Published(FFL, _STACK, "0.89 M", True),
    "stacked-trajgru": Published(FFL, _STACK, "1.06 M", True, "Structure network of 32 channels and 5 x 5 kernels."),
    "stacked-predrnn": Published(FFL, _STACK, "1.80 M", True),
    "stacked-mim": Published(FFL, _STACK, "3.68 M", True, "The reference cell, idle parts included."),
    "stacked-motionrnn": Published(FFL, _STACK, "3.78 M", True, "On the reference cell of MIM."),
    "ms-convlstm": _ms(_MS, "0.25 M", True),
    "ms-trajgru": _ms(_MS, note="Nothing is printed. Structure network of 3 x 3 kernels."),
    "ms-predrnn": _ms(_MS, "0.51 M", True),
    "ms-predrnn++": _ms(_MS, note=f"Nothing is printed. {_HIGHWAY}", others={"as the reference allocates": 789_913}),
    "ms-mim": _ms(_MS, "0.99 M", True, "The first layer runs without MIM's memories, as the printed cost demands.",
                  {"reference cell": 1_038_313, "without idle parts": 897_697}),
    "ms-motionrnn": _ms(_MS, note=_MOTION, others={"on the lean cell of MIM": 1_021_207}),
    "ms-preciplstm": _ms(_MS, note="Nothing is printed for it alone."),
    "ms-lstm": Published(MSLSTM, _MS + "; two kernels see two scales", "1.1 M", True),
    "ms-convlstm-s": _ms(_S, note=_STAGED),
    "ms-trajgru-s": _ms(_S, note=_STAGED),
    "ms-predrnn-s": _ms(_S, note=_STAGED),
    "ms-predrnn++-s": _ms(_S, note=_STAGED, others={"as the reference allocates": 1_579_826}),
    "ms-mim-s": _ms(_S, note=_STAGED),
    "ms-motionrnn-s": _ms(_S, note=_STAGED),
    "ms-preciplstm-s": _ms(_S, note=_STAGED),
    "db-convlstm": _ms(_DB, "0.50 M", True),
    "db-trajgru": _ms(_DB, note="Nothing is printed. Structure network of 3 x 3 kernels."),
    "db-predrnn": _ms(_DB, "1.01 M", True),
    "db-predrnn++": _ms(_DB, note=f"Nothing is printed. {_HIGHWAY}", others={"as the reference allocates": 1_579_826}),
    "db-mim": _ms(_DB, "1.99 M", False, "0.02 M are open: the count is twice that of MS-MIM, which agrees, and so do "
                  "both costs; no whole number of convolutions gives 1.99 M."),
    "db-motionrnn": _ms(_DB, note=_MOTION, others={"on the lean cell of MIM": 2_042_414}),
    "db-preciplstm": _ms(_DB, "2.2 M", False, _PRECIP),
    "simvp": Published("SimVP", "quick on a GPU, all lead times at once; blurs late lead times", "38.9 M", False,
                       "The DB-RNN paper's figure; no setting of the published code gives it. With 10 frames the count "
                       "rounds to the 46.8 M of the code's authors.",
                       {"10 frames": 46_769_665, "IncepU": 55_771_393, "IncepU, 10 frames": 57_946_113}),
    "tau": Published("TAU", "as SimVP, with attention that weighs the frames", note="Nothing is printed for 5 frames; "
                     "with 10 the count rounds to the 44.7 M of the code's authors.", others={"10 frames": 44_656_001}),
    "earthformer": Published("Earthformer", "storms seen whole in a tile; trained on much data", "7.2 M", True,
                             "The DB-RNN paper's figure, with shared projections of the global vectors.",
                             {"separate projections": 8_646_493}),
    "earthformer-sevir": Published("Earthformer", "weights published for SEVIR", "7.6 M", False,
                                   "The Earthformer paper's figure; no combination of the released switches gives it.",
                                   {"shared projections": 7_185_117, "without global vectors": 6_164_573}),
    "lagrangian-unet": Published("Stormdeck", "the best general forecast here: hits thresholds, at the cost of sharp "
                                 "fields", note="Our own design; no paper prints it."),
    "lpt-qpn": Published("LPT-QPN", "attention among channels, cheap on any grid", "4.6 M", True,
                         "The DB-RNN paper's figure; structure of the authors' code, 5 frames to 20."),
}

_SMALL = "Our own size, that trains and runs on modest machines."
PUBLISHED.update({
    "dgmr": Published("DGMR", "sharp members of an ensemble in one pass, two hours ahead", note="Without the 784 800 "
                      "weights that the released code allocates and never runs.",
                      others={"as released": 53_566_957, "discriminators": 43_523_426}),
    "dgmr-small": Published("DGMR", "as DGMR", note=_SMALL),
    "diffcast": Published("DiffCast", "sharp members around a mean forecast; many steps for each", note="With SimVP as "
                          "the mean; denoiser and its context alone are the 46 269 893 of the released code.",
                          others={"denoiser and context": 46_269_893}),
    "diffcast-small": Published("DiffCast", "as DiffCast", note=_SMALL),
    "cascast": Published("CasCast", "sharp members on 384 x 384 cells, drawn in a latent space", note="The sum of its "
                         "three parts.", others={"transformer": 309_246_016, "autoencoder": 83_649_253,
                                                 "Earthformer": 8_659_677}),
    "cascast-small": Published("CasCast", "as CasCast, on any grid", note=_SMALL),
    "strpm": Published("STRPM", "sharp frames without drawing; large", note="Sizes of the released code, without its "
                       "8 x 8 patches, and one weight for each channel in the norms."),
    "strpm-small": Published("STRPM", "as STRPM", note=_SMALL),
    "dgp": Published("DGP", "sharpening any forecast by what a generator knows of radar frames", note="Our own "
                     "generator and critic; the original's is BigGAN on photographs."),
})

COSTS: dict[str, Cost] = {
    "ms-convlstm": Cost(25_169_356_800, "25.2 G"), "db-convlstm": Cost(50_338_713_600, "50.3 G"),
    "ms-predrnn": Cost(51_024_384_000, "51.0 G"), "db-predrnn": Cost(102_048_768_000, "102.0 G"),
    "ms-mim": Cost(80_205_312_000, "80.2 G"), "db-mim": Cost(160_410_624_000, "160.4 G"),
    "ms-trajgru": Cost(28_827_187_200), "db-trajgru": Cost(57_654_374_400),
    "ms-predrnn++": Cost(68_243_558_400), "db-predrnn++": Cost(136_487_116_800),
    "ms-motionrnn": Cost(80_995_291_200), "db-motionrnn": Cost(161_990_582_400),
    "ms-preciplstm": Cost(99_795_456_000), "db-preciplstm": Cost(199_590_912_000),
    "ms-lstm": Cost(107_383_449_600),
    "ms-convlstm-s": Cost(50_338_713_600), "ms-trajgru-s": Cost(57_654_374_400),
    "ms-predrnn-s": Cost(102_048_768_000), "ms-predrnn++-s": Cost(136_487_116_800),
    "ms-mim-s": Cost(160_410_624_000), "ms-motionrnn-s": Cost(161_990_582_400),
    "ms-preciplstm-s": Cost(199_590_912_000),
}

DISCRIMINATORS: Counts = {
    "db-convlstm": 11_701, "db-trajgru": 11_701, "db-predrnn": 16_873, "db-predrnn++": 16_873,
    "db-mim": 26_881, "db-motionrnn": 26_881, "db-preciplstm": 26_881,
}
"""Parameters of the discriminator that goes with a network in training; printed as 0.012, 0.017 and 0.027 M."""


def told(name: str) -> dict[str, Any]:
    """What a list of models says about a network: paper, use, printed, agrees, note, other_counts, macs,
    macs_printed, discriminator_parameters; all null for a name that no paper here has."""
    paper, cost = PUBLISHED.get(name), COSTS.get(name)
    return {"paper": paper.paper if paper else None, "use": paper.use if paper else None,
            "printed": paper.printed or None if paper else None, "agrees": paper.agrees if paper else None,
            "note": paper.note or None if paper else None, "other_counts": dict(paper.others) if paper else None,
            "macs": cost.macs if cost else None, "macs_printed": cost.printed or None if cost else None,
            "discriminator_parameters": DISCRIMINATORS.get(name)}
