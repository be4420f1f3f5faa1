"""Small good files of every reader, to be damaged: built from the published layouts, or real ones."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
from PIL import Image, TiffImagePlugin

from tests import builders
from tests.engine import image_builders, radolan_files
from tests.engine.image_builders import picture
from tests.engine.test_forecast_file import HEADER
from tests.engine.test_forecast_file import write as forecast_file
from tests.engine.test_hko7 import archive as hko7
from tests.engine.test_image_folder import folder_of
from tests.engine.test_iris_products import product as iris
from tests.engine.test_meteonet import NORTH_WEST, maps, times
from tests.engine.test_mrms import message
from tests.engine.test_polar import HEIGHT, LAT, LON, cfradial, codes, odim_polar
from tests.engine.test_sevir import archive as sevir
from tests.engine.test_taasrad19 import DAY, ascii_grid, run
from tests.engine.test_zarr import rates, store
from tests.level2 import level2
from tests.rainbow5 import rainbow
from tests.universal_format import universal_format

Build = Callable[[Path], Path]
"""Writes into an empty folder and returns what is to be opened; every file in the folder may be damaged."""
NOON = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)
CODES = np.array([[0, 1, 2, 255], [10, 20, 30, 40], [0, 0, 100, 254]], np.uint8)
FMI_PGM = b"""P5
# obstime 202007011200
# param CorrectedReflectivity
# projection radar {
# type stereographic
# centrallongitude 25
# centrallatitude 90
# truelatitude 60
# bottomleft 18.600000 57.930000
# topright 34.903000 69.005000
# }
8 12
255
"""


def _text(value: object) -> object:
    """HDF5 text of variable length, as h5py writes it unless told otherwise."""
    return value.decode() if isinstance(value, bytes) else value


def _odim(folder: Path) -> Path:
    return builders.odim(folder / "a.h5", [CODES, CODES], [NOON, NOON + timedelta(minutes=5)])


def _odim_text(folder: Path) -> Path:
    return builders.odim(folder / "a.h5", [CODES], [NOON], wrap=_text)


def _knmi(folder: Path) -> Path:
    return builders.knmi(folder / "a.h5", CODES.astype(np.uint16), NOON)


def _swiss(folder: Path) -> Path:
    indices = np.zeros((640, 710), np.uint8)
    indices[5, 7], indices[0, 0] = 100, 255
    return builders.meteoswiss(folder / "a.gif", indices, NOON)


def _netcdf(form: str) -> Build:
    return lambda folder: builders.cf(folder / "a.nc", CODES[None].astype("f4"), [NOON], form=form)


def _forecast(folder: Path) -> Path:
    return forecast_file(folder / "a.nc", HEADER)


def _bytes(name: str, content: Callable[[], bytes]) -> Build:
    def build(folder: Path) -> Path:
        (folder / name).write_bytes(content())
        return folder / name

    return build


def _radolan(folder: Path) -> Path:
    words = np.arange(900 * 900, dtype=np.uint16).reshape(900, 900) % 300
    path = radolan_files.composite(folder / "plain", words, NOON)
    (folder / "a.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
    path.unlink()
    return folder / "a.gz"


def _radolan_runs(folder: Path) -> Path:
    classes = np.zeros((460, 460), np.uint8)
    classes[:, :5], classes[100, 20:90] = 255, 4
    return radolan_files.runs(folder / "a", classes, NOON)


def _radolan_ascii(folder: Path) -> Path:
    return radolan_files.ascii_grid(folder / "RW_20200701-1150.asc", np.zeros((900, 900), np.int64))


def _rydl(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("202007011200", data=np.zeros((900, 900), np.float32), compression="gzip")
    return folder / "a.h5"


def _geotiff(folder: Path) -> Path:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33550] = (1000.0, 1000.0, 0.0)
    tags[33922] = (0.0, 0.0, 0.0, 100_000.0, 7_000_000.0, 0.0)
    tags[34735] = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 3067)
    for tag, kind in ((33550, 12), (33922, 12), (34735, 3)):
        tags.tagtype[tag] = kind
    tags[270], tags[306] = "rain rate mm/h", "2020:07:01 12:00:00"
    Image.fromarray(np.arange(120, dtype=np.float32).reshape(10, 12)).save(
        folder / "rainrate_202007011200.tif", tiffinfo=tags, compression="tiff_adobe_deflate")
    return folder / "rainrate_202007011200.tif"


def _polar(folder: Path) -> Path:
    return odim_polar(folder / "a.h5", {0.5: codes(1, 90, 40), 1.5: codes(2, 90, 40)}, NOON)


def _cfradial(folder: Path) -> Path:
    return cfradial(folder / "a.nc", codes(3, 90, 40).astype(np.float32), NOON)


def _uf(folder: Path) -> Path:
    field = codes(4, 24, 20).astype(np.float64) / 2 - 32  # few rays: xradar takes its time over each
    return universal_format(folder / "a.uf", [(0.5, field), (1.5, field[:12])], NOON, site=(LON, LAT, HEIGHT))


def _level2(folder: Path) -> Path:
    return level2(folder / "KFWS20200701_120000_V06", [(0.5, codes(5, 120, 40)), (1.5, codes(6, 120, 40))], NOON)


def _rainbow(folder: Path) -> Path:
    return rainbow(folder / "a.vol", [(0.5, codes(7, 90, 40)), (1.5, codes(8, 90, 40))], NOON)


def _iris(folder: Path) -> Path:
    return iris(folder / "a", CODES)


def _meteonet(folder: Path) -> Path:
    return image_builders.meteonet(folder / "rainfall_NW_2016_08.3.npz", maps(NORTH_WEST, -1, 0, 1, 250), times(0))


def _taasrad19(folder: Path) -> Path:
    return image_builders.taasrad19(folder / "20161101.hdf5", [(DAY, run(2, 20.1))])


def _zarr(version: int) -> Build:
    return lambda folder: store(folder / "radar", version, rates())


def _zarr_zip(folder: Path) -> Path:
    path = Path(shutil.make_archive(str(folder / "packed"), "zip", _zarr(3)(folder)))
    shutil.rmtree(folder / "radar")
    return path


def _srad2018(folder: Path) -> Path:
    """Two events of two pictures."""
    scene = (np.arange(501 * 501) % 251).astype(np.uint8).reshape(501, 501)
    for event in ("206482464212530", "206482464212531"):
        for number in (0, 1):
            picture(folder / f"SRAD2018_TRAIN_001/RAD_{event}/RAD_{event}_{number:03}.png", scene)
    return folder


def _shanghai(folder: Path) -> Path:
    for minute in (0, 6):
        picture(folder / f"nh_radar_comp_echo/event1/2016070112{minute:02}.png", np.full((501, 501), 51, np.uint8))
    return folder


BUILT: Mapping[str, Build] = {
    "odim": _odim,
    "odim-text": _odim_text,
    "knmi": _knmi,
    "meteoswiss": _swiss,
    "netcdf3": _netcdf("NETCDF3_CLASSIC"),
    "netcdf3-64": _netcdf("NETCDF3_64BIT_OFFSET"),
    "netcdf4": _netcdf("NETCDF4"),
    "forecast": _forecast,
    "radolan": _radolan,
    "radolan-runs": _radolan_runs,
    "radolan-ascii": _radolan_ascii,
    "rydl": _rydl,
    "fmi-pgm": _bytes("a.pgm", lambda: FMI_PGM + bytes(range(96))),
    "grib-png": _bytes("a.grib2", lambda: message(CODES.astype(np.uint16))),
    "grib-simple": _bytes("a.grib2", lambda: message(CODES.astype(np.uint16), template=0)),
    "grib-eccodes": _bytes("a.grib2", lambda: message(CODES.astype(np.uint16), template=0, bitmap=CODES != 0)),
    "geotiff": _geotiff,
    "odim-polar": _polar,
    "cfradial": _cfradial,
    "uf": _uf,
    "nexrad": _level2,
    "rainbow": _rainbow,
    "iris-product": _iris,
    "zarr2": _zarr(2),
    "zarr3": _zarr(3),
    "zarr-zip": _zarr_zip,
    "meteonet": _meteonet,
    "sevir": sevir,
    "taasrad19": _taasrad19,
    "taasrad19-ascii": _bytes("Cmaz_cmaZ_20161101_0325.ascii", lambda: ascii_grid(np.full((480, 480), -99.0))),
    "image-folder": folder_of,
    "hko7": hko7,
    "srad2018": _srad2018,
    "shanghai": _shanghai,
}

REAL: Mapping[str, str] = {
    "rainfields": "bom-prcp-c10/*/*.nc",
    "cfradial": "cfradial/MLL*.nc",
    "dx": "dwd-dx/*/*.gz",
    "radvor": "dwd-radvor/*/RQ*.gz",
    "fmi-pgm": "fmi-pgm/*/*.gz",
    "iris": "iris/*.gz",
    "iris-raw": "iris/*.RAW*",
    "knmi": "knmi/*/*.h5",
    "aqc": "mch-aqc/*/*.gif",
    "odim-polar": "odim-polar/*/*.h5",
    "rainbow": "rainbow/*.vol",
    "nexrad": "nexrad/*/*_V06",
    "opera": "opera/*/*.hdf",
    "geotiff": "fmi-geotiff/*/*.tif",
}
"""The smallest file that a pattern finds below the folder of real archives."""


def real(folder: Path, data: Path, name: str) -> Path:
    """A copy under its own name. Raises FileNotFoundError if there is none."""
    found = sorted(data.glob(REAL[name]), key=lambda path: path.stat().st_size)
    if not found:
        raise FileNotFoundError(f"nothing like {REAL[name]}")
    copy = folder / found[0].name
    content = found[0].read_bytes()
    copy.write_bytes(_first_sweep(content) if name == "iris-raw" else content)
    return copy


def _first_sweep(raw: bytes) -> bytes:
    """Of an IRIS RAW file: records of 6,144 bytes that say at 2 which sweep they hold; the first says at 4 how long the
    file is, the second at 94 how many sweeps there are."""
    size = 6144
    records = [raw[at:at + size] for at in range(0, len(raw), size)]
    kept = records[:2] + [record for record in records[2:] if record[2:4] == b"\x01\0"]
    kept[0] = kept[0][:4] + (size * len(kept)).to_bytes(4, "little") + kept[0][8:]
    kept[1] = kept[1][:94] + b"\x01\0" + kept[1][96:]
    return b"".join(kept)
