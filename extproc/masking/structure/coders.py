"""The content codings (RFC 9110, section 8.4.1): each undone in pieces of bounded size, and done again."""

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import brotli  # type: ignore[import-untyped]

from extproc.masking.stage import MaskError

if sys.version_info >= (3, 14):
    from compression.zstd import (
        CompressionParameter,
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdError,
    )
else:
    from backports.zstd import CompressionParameter, DecompressionParameter, ZstdCompressor, ZstdDecompressor, ZstdError

PIECE = 64 << 10
"""Decoded bytes that are given at once, at most."""

_GZIP, _ZLIB = 31, 15  # zlib's own numbers
_ZSTD_WINDOW = 23  # 8 MiB, the most that RFC 9659 lets a content coding ask for
_BROTLI_PIECE = 32 << 10  # the decoder goes over what it is told to give, by half at most


class Decoder(Protocol):
    """One coding, undone."""

    @property
    def inside(self) -> bool:
        """Whether the body may not end here."""
        ...

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What the bytes mean, in pieces of PIECE at most. Raises MaskError."""
        ...


class _Inflate:
    """gzip (RFC 1952, of any number of members) and deflate, which is zlib's format (RFC 1950) and a single one."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._member = zlib.decompressobj(bits)
        self._begun = self._ended = False

    @property
    def inside(self) -> bool:
        return self._begun and not self._ended

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._ended:
                if self._bits != _GZIP:
                    raise MaskError("a deflate body that goes on after its end")
                self._member, self._ended = zlib.decompressobj(self._bits), False
            self._begun = True
            piece = b"."
            while piece and not self._member.eof:
                try:
                    piece = self._member.decompress(data, PIECE)
                except zlib.error:
                    raise MaskError("malformed gzip or deflate") from None
                data = self._member.unconsumed_tail
                if piece:
                    yield piece
            self._ended = self._member.eof
            data = self._member.unused_data if self._ended else b""


class _Brotli:
    """br (RFC 7932). A window over 16 MiB (the large-window extension) and a shared dictionary are refused."""

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self._begun = False

    @property
    def inside(self) -> bool:
        return self._begun and not self._stream.is_finished()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        self._begun = True
        while True:
            try:
                piece: bytes = self._stream.process(data, output_buffer_limit=_BROTLI_PIECE)
            except brotli.error:
                raise MaskError("malformed br, or br that goes on after its end") from None
            data = b""
            if piece:
                yield piece
            elif self._stream.can_accept_more_data():
                # It says so of its input, whatever it still has to give: nothing is left when it gives nothing.
                return


class _Zstd:
    """zstd (RFC 8878), of any number of frames. Dictionaries, and windows over 8 MiB, are refused."""

    def __init__(self) -> None:
        self._frame: ZstdDecompressor | None = None

    @property
    def inside(self) -> bool:
        return self._frame is not None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._frame is None:
                self._frame = ZstdDecompressor(options={DecompressionParameter.window_log_max: _ZSTD_WINDOW})
            frame = self._frame
            while True:
                try:
                    piece = frame.decompress(data, PIECE)
                except ZstdError:
                    raise MaskError("malformed zstd, or one with a dictionary or a window over 8 MiB") from None
                if piece:
                    yield piece
                data = b""
                if frame.eof:
                    self._frame, data = None, frame.unused_data
                    break
                if frame.needs_input:
                    break


class Encoder(Protocol):
    """One coding, done. `flush` gives all there is; `finish` also ends the body."""

    def feed(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...

    def finish(self) -> bytes: ...


class _Deflate:
    def __init__(self, bits: int) -> None:
        self._stream = zlib.compressobj(4, zlib.DEFLATED, bits)

    def feed(self, data: bytes) -> bytes:
        return self._stream.compress(data)

    def flush(self) -> bytes:
        return self._stream.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._stream.flush(zlib.Z_FINISH)


class _ToBrotli:
    def __init__(self) -> None:
        self._stream = brotli.Compressor(quality=3, lgwin=18)

    def feed(self, data: bytes) -> bytes:
        return bytes(self._stream.process(data))

    def flush(self) -> bytes:
        return bytes(self._stream.flush())

    def finish(self) -> bytes:
        return bytes(self._stream.finish())


class _ToZstd:
    def __init__(self) -> None:
        self._stream = ZstdCompressor(
            options={CompressionParameter.compression_level: 3, CompressionParameter.window_log: 18}
        )

    def feed(self, data: bytes) -> bytes:
        return self._stream.compress(data)

    def flush(self) -> bytes:
        return self._stream.flush(ZstdCompressor.FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._stream.flush(ZstdCompressor.FLUSH_FRAME)


CODERS: dict[str, tuple[Callable[[], Decoder], Callable[[], Encoder]]] = {
    "gzip": (lambda: _Inflate(_GZIP), lambda: _Deflate(_GZIP)),
    "deflate": (lambda: _Inflate(_ZLIB), lambda: _Deflate(_ZLIB)),
    "br": (_Brotli, _ToBrotli),
    "zstd": (_Zstd, _ToZstd),
}
"""What undoes and does each coding, by its registered name."""
