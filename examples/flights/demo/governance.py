"""The control plane's REST, as operators' and approvers' scripts would use it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

_PATIENCE_SECONDS: Final = 60
_ROLLBACK_SECONDS: Final = 10
_POLL_SECONDS: Final = 0.01
_CALL_SECONDS: Final = 20.0
Answer = dict[str, Any]


class RefusedError(Exception):
    """The control plane will not.

    Attributes:
        problem: The last part of the problem's type, such as "gates-failed".
    """

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(f"{problem}: {detail}")
        self.problem = problem


class Governance:
    """Reads and changes what the control plane keeps of one model, each change in somebody's name."""

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self._client = client
        self._model = model

    @classmethod
    @asynccontextmanager
    async def at(cls, url: str, model: str) -> AsyncIterator[Self]:
        """Opens a connection."""
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=_CALL_SECONDS) as client:
            yield cls(client, model)

    async def pending(self) -> list[Answer]:
        """What waits for somebody's decision, oldest first."""
        answer = await self._call("GET", "/v1/approvals", params={"state": "pending", "model": self._model})
        items: list[Answer] = answer["items"]
        return items

    async def decide(
        self, actor: str, approval: str, decision: str, comment: str, waive_gates: Sequence[str] = ()
    ) -> Answer:
        """Approves or rejects.

        Raises:
            RefusedError: It may not be decided so.
        """
        body = {"decision": decision, "comment": comment, "waive_gates": list(waive_gates)}
        return await self._call("POST", f"/v1/approvals/{approval}/decision", actor, json=body)

    async def version(self, version: str) -> Answer:
        """What is known of a version; waits for one that was registered on Kafka a moment ago."""
        return await self._call("GET", f"/v1/models/{self._model}/versions/{version}", is_awaited=True)

    async def route(self, actor: str, champion: str, shadows: Sequence[str]) -> Answer:
        """Routes the model."""
        body = {"champion": champion, "shadows": list(shadows)}
        return await self._call("PUT", f"/v1/models/{self._model}/route", actor, json=body)

    async def routed(self) -> Answer:
        """The route in force."""
        return await self._call("GET", f"/v1/models/{self._model}/route")

    async def followed(self) -> None:
        """Returns when every replica that is heard of answers by the route in force.

        Raises:
            TimeoutError: One does not, for a minute.
        """
        revision = (await self.routed())["revision"]
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                answer = await self._call("GET", f"/v1/models/{self._model}/route/followers")
                if all(replica["serving_revision"] >= revision for replica in answer["items"]):
                    return
                await asyncio.sleep(_POLL_SECONDS)

    async def announced(self) -> None:
        """Returns when everything committed is on the bus."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                if not (await self._call("GET", "/v1/outbox"))["unsent"]:
                    return
                await asyncio.sleep(_POLL_SECONDS)

    async def roll_out(self, actor: str, version: str, plan: Mapping[str, Any], reason: str) -> Answer:
        """Starts a rollout."""
        body = {"version": version, "plan": dict(plan), "reason": reason}
        return await self._call("POST", f"/v1/models/{self._model}/rollouts", actor, json=body)

    async def roll_back(self, actor: str, reason: str) -> Answer:
        """Brings the champion before this one back; answers when every replica follows, or after 10 s."""
        body = {"reason": reason, "wait_s": _ROLLBACK_SECONDS}
        return await self._call("POST", f"/v1/models/{self._model}/rollback", actor, json=body)

    async def verified(self) -> Answer:
        """Whether the audit's chain is whole."""
        return await self._call("GET", "/v1/audit/verify")

    async def _call(
        self, method: str, path: str, actor: str | None = None, *, is_awaited: bool = False, **body: Any
    ) -> Answer:
        headers = {} if actor is None else {"Tidemark-Actor": actor}

        def is_passing(error: BaseException) -> bool:
            if isinstance(error, httpx.HTTPStatusError):
                busy = error.response.status_code == httpx.codes.SERVICE_UNAVAILABLE
                return busy or (is_awaited and error.response.status_code == httpx.codes.NOT_FOUND)
            return isinstance(error, httpx.TransportError)

        async for attempt in AsyncRetrying(
            retry=retry_if_exception(is_passing),
            stop=stop_after_delay(_PATIENCE_SECONDS),
            wait=wait_exponential(0.05, max=0.5),
            reraise=True,
        ):
            with attempt:
                reply = await self._client.request(method, path, headers=headers, **body)
                if reply.is_client_error and not (is_awaited and reply.status_code == httpx.codes.NOT_FOUND):
                    raise _refused(reply)
                reply.raise_for_status()
        answer: Answer = reply.json()
        return answer


def _refused(reply: httpx.Response) -> RefusedError:
    problem = reply.json()
    kind = str(problem.get("type", "")).rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    return RefusedError(kind or str(reply.status_code), str(problem.get("detail", problem)))
