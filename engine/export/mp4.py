"""MP4 with H.264, encoded frame by frame in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

from PIL import Image

from engine.errors import StormdeckError

ENCODERS = ("libx264", "libopenh264", "h264_mf", "h264_videotoolbox")
X264 = {"crf": "18", "preset": "veryfast", "tune": "animation", "rc-lookahead": "4"}
"""The look-ahead is short so that little is left to encode when the last frame is in (or a user cancels)."""
_BT709 = 1
_LIMITED_RANGE = 1


def h264_encoder() -> str:
    """The first H.264 encoder of this installation. Raises StormdeckError where there is none."""
    import av

    for name in ENCODERS:
        if name in av.codecs_available:
            try:
                av.codec.Codec(name, "w")
            except av.error.FFmpegError:
                continue
            return name
    raise StormdeckError("This installation has no H.264 encoder, so no MP4 can be written.",
                         advice="Export a GIF instead.")


class Mp4Writer:
    """Use as a context manager; a file that is left by an exception is unfinished. Frames are RGB images with even
    sides. Colours are BT.709 in limited range, which every player assumes for pictures of this size."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float, title: str = "", comment: str = "") -> None:
        import av
        from av.video.reformatter import ColorRange, Colorspace

        encoder = h264_encoder()
        rate = Fraction(fps).limit_denominator(1001)
        with _os_errors():
            self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._container.metadata.update({"title": title, "comment": comment})
        options = X264 if encoder == "libx264" else {}
        self._stream = self._container.add_stream(encoder, rate=rate, options=options)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = 1 / rate
        context = self._stream.codec_context
        context.time_base, context.gop_size, context.max_b_frames = 1 / rate, 48, 0
        context.colorspace, context.color_range = _BT709, _LIMITED_RANGE
        context.color_primaries, context.color_trc = _BT709, _BT709
        if encoder != "libx264":
            context.bit_rate = 12_000_000
        self._count, self._tick = 0, 1 / rate  # the muxer changes the stream's own time base
        self._reformat = {"format": "yuv420p", "dst_colorspace": Colorspace.ITU709,
                          "src_color_range": ColorRange.JPEG, "dst_color_range": ColorRange.MPEG}

    def add(self, image: Image.Image) -> None:
        import av

        frame = av.VideoFrame.from_image(image).reformat(**self._reformat)
        frame.pts, frame.time_base = self._count, self._tick
        self._count += 1
        self._encode(frame)

    def finish(self) -> None:
        """Writes the few frames that the encoder still holds, and the index of the file."""
        self._encode(None)
        with _os_errors():
            self._container.close()

    def _encode(self, frame: Any) -> None:
        with _os_errors():
            for packet in self._stream.encode(frame):
                self._container.mux(packet)

    def __enter__(self) -> Mp4Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        with _os_errors():
            try:
                self._container.close()
            except _av_error():
                if kind is None:
                    raise


@contextmanager
def _os_errors() -> Iterator[None]:
    """The library's errors as the OSError that they stand for, so that a full disk is called one."""
    try:
        yield
    except _av_error() as problem:
        raise OSError(problem.errno, problem.strerror) from problem


def _av_error() -> Any:
    from av.error import FFmpegError

    return FFmpegError
