"""Every downscaling network by its public name, with the parameter count it must reach to the unit.

The counts of Zooming Slow-Mo and FC-ZSM follow from the published structure; no paper prints those of FC-ZSM. The two
U-Nets are known by name alone, theirs are of what is built here.
"""

from __future__ import annotations

from engine.networks.configuration import Configuration, Option
from engine.networks.zoo import Entry


def _zsm(title: str, parameters: int, **options: Option) -> Entry:
    return Entry(title, "zooming slow-mo", parameters, Configuration("zsm", inputs=2, leads=3, options=dict(options)))


DOWNSCALING: dict[str, Entry] = {
    "unet": Entry("U-Net", "U-Net", 7_697_484, Configuration("planar-unet", inputs=2, leads=3)),
    "unet3d": Entry("UNet3D (DCN)", "U-Net", 5_427_681, Configuration("space-time-unet", inputs=2, leads=3)),
    "zsm": _zsm("Zooming Slow-Mo", 8_737_073),
    "fc-zsm-d": _zsm("FC-ZSM, dynamic fields", 8_738_225, dynamic=3),
    "fc-zsm-s": _zsm("FC-ZSM, fixed fields", 9_476_465, static=2),
    "fc-zsm-ds": _zsm("FC-ZSM, dynamic and fixed fields", 9_477_617, dynamic=3, static=2),
}
