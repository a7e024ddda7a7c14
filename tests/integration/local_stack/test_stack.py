"""How a stack starts, what stops it from starting, and what several of them have to do with each other."""

import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from local_stack import (
    KafkaOptions,
    LocalStack,
    PortInUseError,
    Server,
    ServerExitedError,
    ServerNotReadyError,
    StackError,
    ValkeyOptions,
    processes,
)
from local_stack.ports import HOST, choose
from local_stack.probes import NotReadyError, ask_kafka, ask_valkey, valkey_client
from local_stack.valkey import ValkeyRecipe

pytestmark = pytest.mark.stack

StartStack = Callable[..., Awaitable[LocalStack]]


async def test_two_stacks_at_once_know_nothing_of_each_other(own_stack: StartStack) -> None:
    first, second = await own_stack(), await own_stack()
    assert await ask_kafka(first.kafka_bootstrap) != await ask_kafka(second.kafka_bootstrap)
    async with valkey_client(first.redis_url) as one, valkey_client(second.redis_url) as other:
        await one.set("key", "value")
        assert await other.get("key") is None

    await first.stop()

    assert await ask_kafka(second.kafka_bootstrap)
    assert await ask_valkey(second.redis_url)


async def test_a_stack_says_what_a_service_must_know_to_use_it(own_stack: StartStack) -> None:
    stack = await own_stack(kafka=None)
    assert stack.environment() == {"REDIS_URL": stack.redis_url}


async def test_a_folder_may_have_spaces_and_letters_of_any_language(
    tmp_path: Path, own_stack: StartStack
) -> None:
    stack = await own_stack(folder=tmp_path / "mein Stapel äöü 栈")
    assert await ask_kafka(stack.kafka_bootstrap)
    assert await ask_valkey(stack.redis_url)


@pytest.mark.parametrize("server", ["kafka", "valkey"])
async def test_a_busy_port_that_the_user_chose_is_a_named_error(tmp_path: Path, server: str) -> None:
    with socket.create_server((HOST, choose(1, seed=server)[0])) as listener:
        port = listener.getsockname()[1]
        stack = LocalStack(
            tmp_path,
            kafka=KafkaOptions(port=port) if server == "kafka" else None,
            valkey=ValkeyOptions(port=port) if server == "valkey" else None,
        )
        with pytest.raises(
            PortInUseError, match=f"Port {port}, which was asked for {server}, is already in use"
        ):
            await stack.start()
    assert processes.find_servers(tmp_path) == {}


async def test_a_port_that_the_user_chose_is_the_one_that_is_used(own_stack: StartStack) -> None:
    (port,) = choose(1, seed="the user's")
    stack = await own_stack(kafka=None, valkey=ValkeyOptions(port=port))
    assert stack.redis_url == f"redis://127.0.0.1:{port}/0"


async def test_a_port_that_is_taken_between_choosing_and_binding_is_replaced(tmp_path: Path) -> None:
    class LosesTheFirstRace(ValkeyRecipe):
        winners: ClassVar[list[socket.socket]] = []

        async def prepare(self, home: Path, ports: Sequence[int]) -> Sequence[str]:
            if not self.winners:
                self.winners.append(socket.create_server((HOST, ports[0])))
            return await super().prepare(home, ports)

    recipe = LosesTheFirstRace("valkey", ValkeyOptions())
    server = Server(recipe, tmp_path)
    await server.start()
    try:
        assert server.ports[0] != recipe.winners[0].getsockname()[1]
        assert await ask_valkey(f"redis://{server.address}") == server.pid
    finally:
        await server.stop()
        recipe.winners[0].close()


async def test_another_server_on_the_port_is_not_taken_for_ours(
    own_stack: StartStack, tmp_path: Path
) -> None:
    others = await own_stack(kafka=None)
    recipe = ValkeyRecipe("valkey", ValkeyOptions())
    with pytest.raises(NotReadyError, match="another Valkey"):
        await recipe.probe(tmp_path, others.valkey.nodes[0].ports, pid=1)


async def test_settings_that_a_server_refuses_are_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, kafka=None, valkey=ValkeyOptions(settings={"maxmemory": "a lot"}))
    with pytest.raises(ServerExitedError, match=r"(?s)valkey ended \(exit code 1\).*valkey\.log.*maxmemory"):
        await stack.start()


async def test_kafka_settings_that_make_no_sense_are_reported_with_the_end_of_the_log(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, kafka=KafkaOptions(properties={"num.io.threads": "many"}), valkey=None)
    with pytest.raises(ServerExitedError, match=r"(?s)Its log is .*num\.io\.threads"):
        await stack.start()
    assert processes.find_servers(tmp_path) == {}


async def test_a_server_that_is_too_slow_is_reported_and_not_left_running(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, kafka=KafkaOptions(start_deadline_seconds=0), valkey=None)
    with pytest.raises(ServerNotReadyError, match=r"kafka is not ready within 0 s: nothing listens at"):
        await stack.start()
    assert processes.find_servers(tmp_path) == {}


async def test_when_one_server_can_not_start_the_other_is_stopped(tmp_path: Path) -> None:
    with socket.create_server((HOST, choose(1, seed="taken")[0])) as listener:
        stack = LocalStack(tmp_path, kafka=KafkaOptions(port=listener.getsockname()[1]))
        with pytest.raises(PortInUseError):
            await stack.start()
    assert processes.find_servers(tmp_path) == {}


async def test_a_stack_is_started_once(own_stack: StartStack) -> None:
    stack = await own_stack(kafka=None)
    with pytest.raises(StackError, match="was started already; stop it first"):
        await stack.start()
    assert stack.valkey.nodes[0].pid is not None


def test_without_an_event_loop_a_stack_is_a_plain_context_manager(tmp_path: Path) -> None:
    with LocalStack(tmp_path, kafka=None) as stack:
        host, _, port = stack.valkey.nodes[0].address.partition(":")
        socket.create_connection((host, int(port))).close()
    assert processes.find_servers(tmp_path) == {}
