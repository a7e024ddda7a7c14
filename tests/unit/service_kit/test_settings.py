"""Settings from the environment."""

import pytest
from pydantic import ValidationError
from service_kit import Settings
from service_kit.settings import LogFormat, LogLevel, SettingsError


class OwnSettings(Settings):
    grpc_port: int
    database_url: str = "sqlite://"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_environment_is_read_by_the_names_of_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("METRICS_PORT", "9100")
    monkeypatch.setenv("LOG_FORMAT", "json")
    monkeypatch.setenv("GRPC_PORT", "50051")
    settings = OwnSettings()
    assert (settings.kafka_bootstrap_servers, settings.metrics_port) == ("kafka:9092", 9100)
    assert (settings.log_format, settings.log_level) == (LogFormat.JSON, LogLevel.INFO)
    assert settings.grpc_port == 50051


def test_mistakes_are_told_together_by_variable_and_without_the_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("METRICS_PORT", "secret")
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    with pytest.raises(SettingsError) as caught:
        OwnSettings()
    told = str(caught.value)
    assert told.startswith("wrong settings: ")
    assert "METRICS_PORT: Input should be a valid integer" in told
    assert "LOG_LEVEL: Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'" in told
    assert "GRPC_PORT: Field required" in told
    assert "secret" not in told
    assert "\n" not in told


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_is_a_port(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("METRICS_PORT", port)
    with pytest.raises(SettingsError, match="METRICS_PORT"):
        Settings()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().metrics_port = 1  # type: ignore[misc] # that is the mistake
