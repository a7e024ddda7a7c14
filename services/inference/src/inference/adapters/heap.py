"""The C library's heap."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Return what was freed to the operating system, where the C library knows how.

    ONNX Runtime's sessions are many small pieces: freed, they stay with the process until glibc is told.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
