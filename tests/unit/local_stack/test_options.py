from pathlib import Path

import pytest
from local_stack import KafkaOptions, ValkeyOptions
from local_stack.containers import kafka_environment, valkey_command
from local_stack.kafka import broker_properties, read_properties, write_properties
from local_stack.valkey import node_settings


def test_a_valkey_has_one_node_or_three() -> None:
    with pytest.raises(ValueError, match="write 1 for a server or 3 for a cluster"):
        ValkeyOptions(nodes=2)  # type: ignore[arg-type]


def test_a_cluster_can_not_have_one_port() -> None:
    with pytest.raises(ValueError, match="leave it out for a cluster"):
        ValkeyOptions(nodes=3, port=6379)


def test_the_users_broker_properties_win() -> None:
    options = KafkaOptions(message_max_bytes=77, properties={"num.io.threads": "9", "log.retention.ms": "1"})
    properties = broker_properties(options, Path("/data"), (1, 2))
    assert properties["message.max.bytes"] == "77"
    assert properties["num.io.threads"] == "9"
    assert properties["log.retention.ms"] == "1"


def test_topics_that_nobody_declared_are_not_made() -> None:
    assert broker_properties(KafkaOptions(), Path("/data"), (1, 2))["auto.create.topics.enable"] == "false"


def test_the_users_valkey_settings_win() -> None:
    settings = node_settings(ValkeyOptions(settings={"appendfsync": "always"}), Path("/data"), [1])
    assert settings["appendfsync"] == "always"


def test_a_node_that_need_not_be_durable_writes_no_file() -> None:
    assert node_settings(ValkeyOptions(durable=False), Path("/data"), [1])["appendonly"] == "no"


def test_properties_come_back_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "some.properties"
    write_properties(file, {"a": "1=2", "b": ""})
    assert read_properties(file) == {"a": "1=2", "b": ""}


def test_properties_are_ascii_with_the_escapes_that_java_reads(tmp_path: Path) -> None:
    file = tmp_path / "some.properties"
    write_properties(file, {"log.dirs": "/é\\𝄞"})
    assert file.read_bytes() == b"log.dirs=/\\u00e9\\\\\\ud834\\udd1e\n"


def test_a_missing_properties_file_has_none(tmp_path: Path) -> None:
    assert read_properties(tmp_path / "missing") == {}


def test_a_container_advertises_the_hosts_port() -> None:
    environment = kafka_environment(KafkaOptions(heap_mb=300), 12345)
    assert environment["KAFKA_ADVERTISED_LISTENERS"] == "BROKER://127.0.0.1:12345"
    assert environment["KAFKA_LISTENERS"] == "BROKER://:9092,CONTROLLER://:9093"
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert environment["KAFKA_HEAP_OPTS"] == "-Xmx300m"


def test_a_containers_valkey_takes_its_settings_as_arguments() -> None:
    command = valkey_command(ValkeyOptions())
    assert command[0] == "valkey-server"
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--save") + 1] == ""
    assert command[command.index("--dir") + 1] == "/data"
