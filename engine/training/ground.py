"""Fixed fields beneath the sequences of packs: made once for each archive, cut where a sequence lies."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import resources
from engine.archives.ground_files import read_ground
from engine.radar.grid import Grid
from engine.radar.ground import fixed_fields
from engine.training.packs import Pack
from engine.training.recipe import DataPart


class Ground:
    """names: of :mod:`engine.radar.ground`. files: GeoTIFF, NetCDF or GRIB with those that coasts do not tell. May be
    sent to other processes; each makes its fields anew."""

    def __init__(self, names: tuple[str, ...], files: tuple[Path, ...] = ()) -> None:
        self.names, self.files = names, files

    @classmethod
    def wished(cls, data: DataPart) -> Ground | None:
        """None where the recipe shows no fixed fields."""
        return cls(data.fixed, tuple(Path(file) for file in data.fixed_files)) if data.fixed else None

    def under(self, pack: Pack, index: int) -> NDArray[np.float32]:
        """(F, ny, nx) where a sequence of a pack lies. Raises NotEnoughInput, UnreadableInput."""
        about = pack.archive(index)
        left, right, bottom, top = about["extent"]
        high, wide = about["shape"]
        whole = _whole(self.names, self.files, (left, right, bottom, top), (high, wide), about["crs"])
        row, column = pack.origin(index)
        return whole[:, row:row + pack.shape[1], column:column + pack.shape[2]]


@lru_cache(maxsize=32)
def _whole(names: tuple[str, ...], files: tuple[Path, ...], extent: tuple[float, float, float, float],
           shape: tuple[int, int], crs: str | None) -> NDArray[np.float32]:
    left, right, bottom, top = extent
    grid = Grid.regular(left=left, top=top, dx=(right - left) / shape[1], dy=(top - bottom) / shape[0],
                        nx=shape[1], ny=shape[0], crs=crs)
    given: tuple[Any, ...] = tuple(field for file in files for field in read_ground(file))
    return fixed_fields(names, grid, given, resources.base_map())
