"""The three ways to a stack, and what is said when none works."""

from pathlib import Path

import pytest
from local_stack import Backend, NothingStartedError, StackSettings, ValkeyOptions, open_stack
from local_stack.probes import ask_valkey

NOTHING = "127.0.0.1:1"


def settings(**values: object) -> StackSettings:
    """Settings that come from here alone, whatever the environment of the test run says."""
    nothing_given = {"kafka_bootstrap_servers": None, "redis_url": None, "backend": Backend.AUTO}
    return StackSettings.model_validate(nothing_given | values)


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{NOTHING}")


@pytest.mark.stack
async def test_addresses_that_were_given_are_used_and_nothing_is_started(
    kafka_bootstrap: str, redis_url: str, tmp_path: Path
) -> None:
    given = settings(kafka_bootstrap_servers=kafka_bootstrap, redis_url=redis_url)
    async with open_stack(tmp_path / "unused", settings=given) as stack:
        assert stack.environment() == {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "REDIS_URL": redis_url}
    assert not (tmp_path / "unused").exists()


@pytest.mark.stack
async def test_what_was_not_given_is_started(kafka_bootstrap: str, tmp_path: Path) -> None:
    given = settings(kafka_bootstrap_servers=kafka_bootstrap)
    async with open_stack(tmp_path, settings=given) as stack:
        assert stack.kafka_bootstrap == kafka_bootstrap
        assert stack.redis_url is not None
        assert await ask_valkey(stack.redis_url)
    assert not (tmp_path / "kafka").exists()


@pytest.mark.parametrize(
    ("setting", "address", "said"),
    [
        ("kafka_bootstrap_servers", NOTHING, "KAFKA_BOOTSTRAP_SERVERS is 127.0.0.1:1, which does not answer"),
        ("kafka_bootstrap_servers", "nonsense:x", "'nonsense:x' is not host:port"),
        ("redis_url", f"redis://{NOTHING}", "REDIS_URL is redis://127.0.0.1:1, which does not answer"),
        (
            "redis_url",
            f"redis://me:secret@{NOTHING}",
            "REDIS_URL is redis://127.0.0.1:1, which does not answer",
        ),
        ("redis_url", "nonsense", "REDIS_URL is nonsense, which does not answer"),
    ],
)
async def test_an_address_that_does_not_answer_is_an_error_and_nothing_else_is_tried(
    tmp_path: Path, setting: str, address: str, said: str
) -> None:
    with pytest.raises(NothingStartedError) as error:
        async with open_stack(tmp_path / "unused", settings=settings(**{setting: address})):
            pass
    given, processes, containers = error.value.reasons.values()
    assert said in given
    assert "secret" not in str(error.value)
    assert processes == containers == "not tried, because an address was given"
    assert not (tmp_path / "unused").exists()


@pytest.mark.usefixtures("no_docker")
async def test_when_nothing_works_the_error_says_why_of_each_way(tmp_path: Path) -> None:
    offline = settings(cache=tmp_path / "empty", maven_url=f"http://{NOTHING}")
    with pytest.raises(NothingStartedError) as error:
        async with open_stack(tmp_path / "stack", settings=offline):
            pass
    assert list(error.value.reasons) == ["addresses given", "processes of this machine", "containers"]
    given, processes, containers = error.value.reasons.values()
    assert "are not set" in given
    assert "Could not fetch http://127.0.0.1:1/" in processes
    assert "no Docker engine answers" in containers
    assert all(reason in str(error.value) for reason in error.value.reasons.values())


@pytest.mark.usefixtures("no_docker")
async def test_who_asks_for_containers_gets_no_processes(tmp_path: Path) -> None:
    with pytest.raises(NothingStartedError) as error:
        async with open_stack(tmp_path / "stack", settings=settings(backend=Backend.TESTCONTAINERS)):
            pass
    _, processes, containers = error.value.reasons.values()
    assert processes == "not tried, because TIDEMARK_STACK_BACKEND=testcontainers"
    assert "no Docker engine answers" in containers
    assert not (tmp_path / "stack").exists()


async def test_a_cluster_is_not_had_from_containers(tmp_path: Path) -> None:
    containers = settings(backend=Backend.TESTCONTAINERS)
    with pytest.raises(NothingStartedError, match="a Valkey cluster runs as processes only"):
        async with open_stack(tmp_path, valkey=ValkeyOptions(nodes=3), settings=containers):
            pass


async def test_who_asks_for_processes_gets_no_containers(tmp_path: Path) -> None:
    offline = settings(backend=Backend.PROCESSES, cache=tmp_path, maven_url=f"http://{NOTHING}")
    with pytest.raises(NothingStartedError) as error:
        async with open_stack(tmp_path / "stack", settings=offline):
            pass
    assert error.value.reasons["containers"] == "not tried, because TIDEMARK_STACK_BACKEND=processes"


def test_the_environment_is_read_by_its_documented_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.setenv("TIDEMARK_STACK_BACKEND", "testcontainers")
    monkeypatch.setenv("TIDEMARK_CACHE", str(tmp_path))
    read = StackSettings()
    assert read.kafka_bootstrap_servers == "kafka:9092"
    assert read.redis_url is None
    assert read.backend is Backend.TESTCONTAINERS
    assert read.cache_folder == tmp_path
