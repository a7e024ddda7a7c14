"""Bodies of HTTP requests that come compressed, inflated as they come."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from inference.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from typing import Self

_WINDOW_BITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
CODINGS: Final = tuple(_WINDOW_BITS)
"""The content codings that are read (RFC 9110, 8.4.1); deflate is zlib's format."""
_ALIASES: Final = {"x-gzip": "gzip"}
_HEADER: Final = "Content-Encoding"


class Inflating:
    """Inflates one body, and never more of it than there is room for: a small body may hold a huge one.

    Args:
        coding: One of `CODINGS`; empty where the body is as it is.
    """

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._inflate = zlib.decompressobj(_WINDOW_BITS[coding]) if coding else None

    @classmethod
    def of(cls, header: str) -> Self | None:
        """What a `Content-Encoding` asks for; None where that is not read."""
        name = header.strip().lower()
        coding = _ALIASES.get(name, name)
        if coding in ("", "identity"):
            return cls("")
        return cls(coding) if coding in _WINDOW_BITS else None

    def feed(self, chunk: bytes, room: int) -> bytes:
        """Inflate the next part of the body.

        Args:
            chunk: It.
            room: How many bytes are wanted at most, at least one; once there are as many, the rest is lost.

        Raises:
            InvalidRequest: It is not of its coding.
        """
        if self._inflate is None or not chunk:
            return chunk
        try:
            inflated = self._inflate.decompress(chunk, room)
        except zlib.error as error:
            raise InvalidRequest(_HEADER, f"is {self._coding}, which the body is not: {error}") from error
        if self._inflate.unused_data:
            raise InvalidRequest(_HEADER, f"is {self._coding}: the body goes on behind its end")
        return inflated

    def finish(self) -> None:
        """Check that the body was whole.

        Raises:
            InvalidRequest: It was not.
        """
        if self._inflate is not None and not self._inflate.eof:
            raise InvalidRequest(_HEADER, f"is {self._coding}: the body ends before its end")
