# ruff: noqa: T201 - a program of its own, not part of the platform
"""A process that behaves like a service, or misbehaves as its arguments (its habits) say."""

import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Never

PAGE = b'# TYPE records counter\nrecords_total{topic="a"} 3.0\nrecords_total{topic="b"} 4.0\n'


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        ready = "never-ready" not in sys.argv
        self.send_response(200 if ready or self.path == "/metrics" else 503)
        self.end_headers()
        self.wfile.write(PAGE if self.path == "/metrics" else b"" if ready else b"the moon is wrong")


def note(line: str) -> None:
    """Appends to the file that the test reads: what happened, across processes, in order."""
    with Path(os.environ["DIARY"]).open("a") as diary:
        diary.write(f"{os.environ.get('NAME', '')} {line}\n")


def leave(_number: int, _frame: object) -> Never:
    note("stopped")
    os._exit(0)


def main() -> None:
    signal.signal(signal.SIGTERM, leave)
    print("starting", flush=True)
    for habit in sys.argv[1:]:
        take_up(habit)
    note(f"pid {os.getpid()}")
    HTTPServer(("127.0.0.1", int(os.environ["METRICS_PORT"])), Handler).serve_forever()


def take_up(habit: str) -> None:
    match habit:
        case "crash":
            sys.exit("out of luck")
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "child":
            note(f"child {subprocess.Popen(['sleep', '600']).pid}")
        case "crash-on-demand":
            threading.Thread(target=crash_when_told, daemon=True).start()


def crash_when_told() -> None:
    """Waits for a writer on the named pipe, then ends the process as a bug would."""
    with Path(os.environ["FIFO"]).open() as order:
        order.read()
    print("Traceback: something broke", flush=True)
    os._exit(7)


if __name__ == "__main__":
    main()
