"""How hard batches are compressed.

The client asks LZ4 for level 9, which looks for the best match there is: ten times the processor's time of
level 1 on scoring requests and predictions, for 13 % less in size. There is no setting for it.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from aiokafka.codec import lz4_encode
from aiokafka.record._crecords import default_records

LZ4_LEVEL: Final = 1


def compress_quickly() -> None:
    """Let every producer of this process compress for speed; any consumer reads it."""
    default_records.lz4_encode = partial(lz4_encode, level=LZ4_LEVEL)
