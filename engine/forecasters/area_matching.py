"""Rain as widespread as it was: a forecast keeps its order of wet and wetter cells, the areas come from the last frame.

A network that knows little of a day's weather gives every cell low probabilities, and its field then misses heavy rain
altogether. Where rain is heaviest is still worth something: the cells that it holds for the wettest get the rates of
the last frame (probability matching, Ebert 2001), over an area that is larger by a factor, since a place that is not
certain is best hit with a little more than one cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
LEAST = 0.02
"""mm/h below which a cell counts as dry."""


def mixed(rain: Field, last: Field, share: float) -> Field:
    """(ny, nx) mm/h: ``share`` of the last frame and the rest of the forecast, in the logarithm of the rate; where the
    last frame has no data, the forecast."""
    whole = np.exp((1.0 - share) * np.log(rain + LEAST) + share * np.log(last + LEAST)) - LEAST
    return np.where(np.isfinite(last), np.maximum(whole, 0.0), rain).astype(np.float32)


def as_wide_as(rain: Field, last: Field, thresholds: Sequence[float], factor: float) -> Field:
    """rain: (ny, nx) mm/h; last: the same cells in the last frame. Returns ``rain`` stretched so that each threshold
    (mm/h, rising) is reached by ``factor`` times as many cells as in ``last``, as far as there are wet cells. Cells
    that are NaN in either take no part and stay as they are; dry cells stay dry; the order of cells stays."""
    known = np.isfinite(rain) & np.isfinite(last)
    values, seen = rain[known], last[known]
    order = np.sort(values)[::-1]
    wet = int(np.searchsorted(-order, -LEAST, side="right"))
    if wet == 0:
        return rain
    source, target = [0.0], [0.0]
    for threshold in thresholds:
        count = min(round(factor * int(np.count_nonzero(seen >= np.float32(threshold)))), wet)
        if count == 0:
            break
        reached = float(order[count - 1])
        if reached > source[-1]:
            source.append(reached)
            target.append(float(threshold))
        else:  # as many cells as for the threshold before: nothing lies in between
            source.insert(-1, float(np.nextafter(reached, 0.0)))
            target.insert(-1, min(0.999 * target[-1], float(np.nextafter(target[-1], 0.0))))
            target[-1] = float(threshold)
    top = float(order[0])
    if len(target) == 1:
        return np.where(known, np.minimum(rain, np.float32(0.99 * thresholds[0])), rain)
    if top > source[-1]:
        following = [threshold for threshold in thresholds if threshold > target[-1]]
        ceiling = max(0.999 * following[0] if following else 1.5 * target[-1], target[-1])
        source.append(top)
        target.append(min(ceiling, target[-1] * max(1.0, top / source[-2])))
    stretched = np.interp(values, source, target)
    out = rain.copy()
    out[known] = np.where(values < LEAST, values, stretched)
    return out
