from io import StringIO

from local_stack.progress import ConsoleProgress
from rich.console import Console


def shown(*, on_a_terminal: bool) -> str:
    output = StringIO()
    progress = ConsoleProgress(Console(file=output, force_terminal=on_a_terminal, width=100))
    with progress.downloading("Apache Kafka", 2) as download:
        download.fetched("first.jar", 1_500_000)
        download.fetched("second.jar", 100_000)
    return output.getvalue()


def test_without_a_terminal_there_are_plain_lines() -> None:
    assert shown(on_a_terminal=False).splitlines() == [
        "Downloading Apache Kafka: 2 files, once; they are kept for every later start",
        "  first.jar (1.5 MB)",
        "  second.jar (0.1 MB)",
        "Downloaded Apache Kafka",
    ]


def test_on_a_terminal_there_is_a_bar() -> None:
    output = shown(on_a_terminal=True)
    assert "2/2" in output
    assert "first.jar" not in output
