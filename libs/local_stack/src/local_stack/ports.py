"""Free ports on 127.0.0.1.

They are taken below the range from which the system draws the ports of outgoing connections. Inside it, a
client that keeps reconnecting to a stopped server can be given that very port and connect to itself, and the
server then never gets it back.
"""

import socket
from collections.abc import Collection
from itertools import islice
from pathlib import Path
from zlib import crc32

HOST = "127.0.0.1"
_FIRST_PORT = 20_000
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_FIRST_ELSEWHERE = 32_768
_STRIDE = 997


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(count: int, *, seed: str, attempt: int = 0, but: Collection[int] = ()) -> tuple[int, ...]:
    """Choose `count` ports that are free now; the same seed and attempt start looking at the same place.

    Nothing holds the ports: a server that finds one taken is started again with the next attempt's.
    """
    span = _ephemeral_first() - _FIRST_PORT
    start = (crc32(seed.encode()) + attempt * _STRIDE) % span
    candidates = (_FIRST_PORT + (start + step) % span for step in range(span))
    found = tuple(islice((port for port in candidates if port not in but and is_free(port)), count))
    if len(found) < count:
        raise OSError(
            f"fewer than {count} ports are free on {HOST} from {_FIRST_PORT} to {_FIRST_PORT + span}"
        )
    return found


def _ephemeral_first() -> int:
    try:
        first = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL_FIRST_ELSEWHERE
    return first if first > _FIRST_PORT + 1000 else _EPHEMERAL_FIRST_ELSEWHERE
