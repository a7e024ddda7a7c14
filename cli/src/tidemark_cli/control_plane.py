"""The control plane's REST API, as the command line uses it."""

from typing import Any

import httpx

from tidemark_cli.failures import Failure, OutOfReach, Refused

_TIMEOUT_SECONDS = 30.0
_PAGE = 200
_ACTOR_HEADER = "Tidemark-Actor"


class ControlPlane:
    """Asks one control plane; its problems become failures in its own words.

    Args:
        url: Where it is.
        actor: Who acts, said with every request; claimed and not proven. Nobody when left out.
        patience_seconds: How much longer than usual an answer may take, because it was asked to wait.
        transport: How it is reached; over HTTP when left out.
    """

    def __init__(
        self,
        url: str,
        *,
        actor: str | None = None,
        patience_seconds: float = 0.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = url
        self._actor = actor
        self._timeout_seconds = _TIMEOUT_SECONDS + patience_seconds
        self._transport = transport

    def get(self, path: str, **parameters: str | int) -> Any:
        """Returns what is at a path."""
        return self._send("GET", path, params=parameters).json()

    def items(self, path: str, **chosen: str) -> list[dict[str, Any]]:
        """Returns a whole list, page by page; only what is `chosen`."""
        items: list[dict[str, Any]] = []
        parameters: dict[str, str | int] = {"limit": _PAGE, **chosen}
        while True:
            page = self.get(path, **parameters)
            items += page["items"]
            if page["next"] is None:
                return items
            parameters["after"] = page["next"]

    def post(self, path: str, body: object) -> tuple[Any, bool]:
        """Sends a body; returns the answer, and whether something was created."""
        reply = self._send("POST", path, json=body)
        return reply.json(), reply.status_code == httpx.codes.CREATED

    def put(self, path: str, body: object, *, if_match: str | None = None) -> Any:
        """Puts a body in a place, if that still is as `if_match` says."""
        headers = {"If-Match": if_match} if if_match else {}
        return self._send("PUT", path, json=body, headers=headers).json()

    def _client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self._url,
            headers={_ACTOR_HEADER: self._actor} if self._actor else {},
            timeout=self._timeout_seconds,
            trust_env=False,
            transport=self._transport,
        )

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            with self._client() as client:
                reply = client.request(method, path, **options)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise OutOfReach(
                f"no control plane answers at {self._url} ({error}): "
                "set TIDEMARK_CONTROL_PLANE_URL to one that runs, or start all with `tidemark demo --keep`"
            ) from error
        if reply.is_success:
            return reply
        raise self._failure(reply)

    def _failure(self, reply: httpx.Response) -> Failure:
        try:
            problem = reply.json()
            told = f"{problem['title']}. {problem['detail']}"
            gates = tuple(problem.get("gates", ()))
        except (ValueError, KeyError, TypeError):
            return OutOfReach(
                f"{self._url} answered {reply.status_code}, but not as a control plane does: is it one?"
            )
        if reply.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return OutOfReach(told)
        return Refused(told, gates=gates)
