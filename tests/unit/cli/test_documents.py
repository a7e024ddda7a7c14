"""What people see of a document of the control plane."""

import pytest
from tidemark_cli.documents import print_document, print_items, told

VERSION = {
    "version": "gb-1",
    "stage": "SHADOW",
    "decision_threshold": 0.30000000001,
    "metrics": {"log_loss": 0.4123456, "roc_auc": 0.75},
    "waived": False,
    "owner": "",
    "feature_names": ["wind_mph", "hour"],
    "gates": [
        {"gate": "latency", "passed": True, "reason": "0.1 ms.", "value": None},
        {"gate": "champion-metric", "passed": False, "reason": "Worse.", "value": None},
    ],
    "evaluations": [
        {
            "scope": "overall",
            "part": "",
            "rows": 900,
            "metrics": {"log_loss": 0.41, "roc_auc": 0.75},
            "champion_metrics": {"log_loss": 0.43},
        },
        {"scope": "slice", "part": "carrier=UA", "rows": 9, "metrics": {"log_loss": 0.5}},
    ],
    "approvals": [],
}


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> str:
    print_document(VERSION)
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "line",
    [
        "version gb-1 stage SHADOW decision threshold 0.3",
        "metrics log_loss 0.4123 roc_auc 0.75 waived no owner none",
        "owner none feature names wind_mph, hour approvals none",
        "gates gate passed reason latency yes 0.1 ms. champion-metric no Worse.",
    ],
)
def test_facts_come_first_then_each_list_as_a_table_of_what_its_items_say(shown: str, line: str) -> None:
    assert line in shown


def test_the_champions_metrics_stand_beside_the_versions_own(shown: str) -> None:
    assert "overall 900 0.41 (champion 0.43) 0.75" in shown
    assert "slice carrier=UA 9 0.5" in shown


def test_square_brackets_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_document({"reason": "[bold]x[/]", "moves": [{"why": "[red]"}]})
    assert capsys.readouterr().out.count("[bold]x[/]") == 1


def test_a_list_without_items_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_items([], empty="No gate.")
    assert capsys.readouterr().out == "No gate.\n"


@pytest.mark.parametrize(
    ("fact", "text"),
    [(None, "none"), ("", "none"), ([], "none"), ({}, "none"), (0, "0"), (True, "yes"), (1 / 3, "0.3333")],
)
def test_a_value_is_told_in_a_line(fact: object, text: str) -> None:
    assert told(fact) == text
