"""Free TCP ports for processes that have to be told theirs before they start."""

import os
import socket

# Below Linux's default ephemeral range (32768 and up), so that no outgoing connection takes a port between
# its choice here and the moment its process binds it.
_FIRST_PORT = 15_000
_LAST_PORT = 32_000
_STRIDE = 97


class FreePorts:
    """Hands out ports that were free when asked for, never the same one twice."""

    def __init__(self) -> None:
        # Supervisors that start together begin at different places.
        self._next = _FIRST_PORT + (os.getpid() * _STRIDE) % (_LAST_PORT - _FIRST_PORT)
        self._given: set[int] = set()

    def take(self) -> int:
        """Returns a port on the loopback interface that nothing listens on.

        Raises:
            OSError: every port of the range is taken.
        """
        for _ in range(_FIRST_PORT, _LAST_PORT):
            port = self._advance()
            if port not in self._given and _is_free(port):
                self._given.add(port)
                return port
        raise OSError(
            f"no free TCP port between {_FIRST_PORT} and {_LAST_PORT}: stop something that listens there"
        )

    def _advance(self) -> int:
        port = self._next
        self._next = port + 1 if port + 1 < _LAST_PORT else _FIRST_PORT
        return port


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
