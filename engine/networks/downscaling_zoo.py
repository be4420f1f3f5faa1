"""Every downscaling network by its public name, with the parameter count it must reach to the unit.

The counts of Zooming Slow-Mo and FC-ZSM follow from the published structure; no paper prints those of FC-ZSM. The two
U-Nets are known by name alone, theirs are of what is built here. The small ones are ours, for a CPU.
"""

from __future__ import annotations

from engine.networks.configuration import Configuration, Option
from engine.networks.zoo import Entry

GROUND, COASTS = "elevation+land_sea_mask", "land_sea_mask+land_around"
"""Names of :mod:`engine.radar.ground` in the order in which a network reads them."""
CHANGING = "rain_rate+measurement_height"
"""Names of :mod:`engine.radar.changing_fields`, as above."""
SMALL: dict[str, Option] = {"front": 1, "back": 2, "channels": 16, "groups": 2, "residual": True,
                            "guided": True}
"""A quarter of the paper's channels and few blocks, guided by the motion: for training on a CPU."""


def _zsm(title: str, parameters: int, **options: Option) -> Entry:
    return Entry(title, "zooming slow-mo", parameters, Configuration("zsm", inputs=2, leads=3, options=dict(options)))


def _unet(title: str, parameters: int, architecture: str, widths: tuple[int, ...]) -> Entry:
    """Guided by the motion."""
    return Entry(title, "U-Net", parameters, Configuration(architecture, inputs=2, leads=3, options={
        "widths": widths, "residual": True, "guided": True}))


DOWNSCALING: dict[str, Entry] = {
    "unet": Entry("U-Net", "U-Net", 7_697_484, Configuration("planar-unet", inputs=2, leads=3)),
    "unet3d": Entry("UNet3D (DCN)", "U-Net", 5_427_681, Configuration("space-time-unet", inputs=2, leads=3)),
    "zsm": _zsm("Zooming Slow-Mo", 8_737_073),
    "fc-zsm-d": _zsm("FC-ZSM, dynamic fields", 8_738_225, dynamic=3, changing=CHANGING),
    "fc-zsm-s": _zsm("FC-ZSM, fixed fields", 9_476_465, static=2, fields=GROUND),
    "fc-zsm-ds": _zsm("FC-ZSM, dynamic and fixed fields", 9_477_617, dynamic=3, changing=CHANGING, static=2,
                      fields=GROUND),
    "unet-small": _unet("U-Net, small", 482_220, "planar-unet", (16, 32, 64, 128)),
    "unet3d-small": _unet("UNet3D, small", 339_705, "space-time-unet", (8, 16, 32, 64)),
    "zsm-small": _zsm("Zooming Slow-Mo, small", 492_941, **SMALL),
    "fc-zsm-s-small": _zsm("FC-ZSM, fixed fields, small", 520_989, static=2, fields=COASTS, **SMALL),
}
