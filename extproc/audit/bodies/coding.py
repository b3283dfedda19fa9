"""The form of a body's file: zstd frames, then its salt in a skippable frame.

Each write is a frame of its own, so that the file is a valid one at every moment, no recording under way needs a
compressor's memory, and a crash tears nothing but the bytes that were not to go on yet. The format is RFC 8878.
"""

import sys
from collections.abc import Callable, Iterator

from extproc.audit.bodies.address import SALT_BYTES

if sys.version_info >= (3, 14):
    from compression.zstd import (
        CompressionParameter,
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdError,
    )
else:
    from backports.zstd import (
        CompressionParameter,
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdError,
    )

FRAME_BYTES = 256 * 1024
"""The most content in one frame; all of it fits in the window."""
PIECE_BYTES = 64 * 1024
"""The most content that reading gives at once."""
_READ_BYTES = 16 * 1024
_WINDOW_LOG = 18
# Magic number and length, little endian.
_SALT_HEAD = b"\x5d\x2a\x4d\x18" + SALT_BYTES.to_bytes(4, "little")


class Malformed(Exception):
    """The bytes are not a body's file. The message says what is wrong, and near which byte."""


class Coder:
    """Makes frames. One compressor does for all recordings of a thread: a frame needs nothing of the one before."""

    def __init__(self) -> None:
        self._compressor = ZstdCompressor(
            options={CompressionParameter.compression_level: 3, CompressionParameter.window_log: _WINDOW_LOG}
        )

    def frame(self, data: bytes | memoryview) -> bytes:
        """One whole frame of at most FRAME_BYTES of content."""
        return self._compressor.compress(data, ZstdCompressor.FLUSH_FRAME)


def salt_frame(salt: bytes) -> bytes:
    """The end of a file."""
    return _SALT_HEAD + salt


class Decoding:
    """Reads one file in bounded memory. `read(n)` gives up to n bytes, and none at the end. Once the content was read,
    `salt` is the file's; `good` are the bytes of the file that whole frames took so far."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._taken = 0
        self._buffer = b""
        self.salt: bytes | None = None
        self.good = 0

    def content(self) -> Iterator[bytes]:
        """The content in pieces. Raises Malformed where the file is not whole, and whatever `read` raises."""
        while self._fill(len(_SALT_HEAD)):
            if self._buffer.startswith(_SALT_HEAD):
                self._end()
                return
            yield from self._frame()
        if self._buffer:
            raise Malformed(f"torn at byte {self.good}")
        raise Malformed(f"ends at byte {self.good} without its salt")

    def _fill(self, least: int) -> bool:
        while len(self._buffer) < least and (more := self._read(_READ_BYTES)):
            self._taken += len(more)
            self._buffer += more
        return len(self._buffer) >= least

    def _end(self) -> None:
        length = len(_SALT_HEAD) + SALT_BYTES
        if not self._fill(length):
            raise Malformed(f"torn at byte {self.good}")
        if self._fill(length + 1):
            raise Malformed(f"goes on after its end at byte {self.good + length}")
        self.salt, self._buffer = self._buffer[len(_SALT_HEAD) :], b""
        self.good += length

    def _frame(self) -> Iterator[bytes]:
        # Our frames fit in the window; one that asks for more memory than that is not ours.
        reader = ZstdDecompressor(options={DecompressionParameter.window_log_max: _WINDOW_LOG})
        given = self._buffer
        try:
            while not reader.eof:
                piece = reader.decompress(given, PIECE_BYTES)
                if piece:
                    yield piece
                given = b""
                if reader.needs_input and not reader.eof:
                    given = self._read(_READ_BYTES)
                    self._taken += len(given)
                    if not given:
                        raise Malformed(f"torn at byte {self.good}")
        except ZstdError as error:
            raise Malformed(f"damaged after byte {self.good}: {error}") from None
        self._buffer = reader.unused_data
        self.good = self._taken - len(self._buffer)
