"""Watching a rollout through an outage of the control plane."""

from collections.abc import Iterator

import httpx
import pytest
from tidemark_cli.control_plane import ControlPlane
from tidemark_cli.rollouts import _moves


def replies() -> Iterator[httpx.Response]:
    yield httpx.Response(200, json={"revision": 1, "state": "shadow"})
    yield httpx.Response(502, text="Bad Gateway")
    yield httpx.Response(503, json={"title": "Away.", "detail": "Ask again."})
    yield httpx.Response(200, json={"revision": 1, "state": "shadow"})
    yield httpx.Response(200, json={"revision": 2, "state": "completed"})


def test_an_outage_is_waited_for_and_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tidemark_cli.rollouts._LOOK_SECONDS", 0)
    told = replies()
    control_plane = ControlPlane(
        "http://control-plane", transport=httpx.MockTransport(lambda _request: next(told))
    )
    moves = list(_moves(control_plane, "late", "late-r1"))
    assert [one["revision"] for one in moves] == [1, 2]
    assert capsys.readouterr().err.count("Waiting for it") == 1
