"""A customer is forgotten: nothing is left in lake, rows or training sets, and it stays so."""

import pyarrow as pa
import pyarrow.parquet as pq
from feature_store import Pseudonyms, load_project
from model_package.testing import facts, write_logistic_package
from privacy_kit import ARCHIVER, AT_US, SECOND_US, TOPIC, Deployment, order, until
from tidemark_cli.platform import ProcessSpec

ANNA, BEN, CARL = "anna-who-leaves", "ben-who-stays", "carl-who-returns"
EVENTS, PREDICTIONS, OUTCOMES = f"sources/{TOPIC}", "predictions_made", "outcomes_observed"
ORDERS = 40


async def score(deployment: Deployment, customers: list[str]) -> str:
    """Score requests of customers, as of the lake, and return where the scores are."""
    folder = deployment.lake / "scored"
    contract = load_project("private_shop").contract("large-order")
    known = facts("large-order", contract.feature_names, contract_hash=contract.hash.hex())
    write_logistic_package(folder / "package", facts=known, weights=[0.5])
    pq.write_table(pa.table({"customer": customers}), folder / "asked.parquet")
    paths = {"--input": "asked.parquet", "--output": "scores", "--package": "package"}
    given = [word for name, path in paths.items() for word in (name, str(folder / path))]
    result = await deployment.cli.run("score-batch", "large-order", *given, "--as-of", "2023-11-15T00:00:00Z")
    assert result.exit_code == 0, result.output
    (folder / "asked.parquet").unlink()
    return str(folder / "scores")


async def live(deployment: Deployment, leaving: str, first: int) -> None:
    """Let two customers order, one of them every fourth time."""
    orders = [order(first + n, leaving if n % 4 == 0 else BEN) for n in range(ORDERS)]
    bad = [
        order(first + 900, leaving, amount=-1.0),
        order(first + 901, BEN, email=f"no address of {leaving}"),
    ]
    kept = {path: len(deployment.column(path, "_offset")) for path in (EVENTS, PREDICTIONS, OUTCOMES)}
    await deployment.publish([*orders, *bad])
    await deployment.predict([leaving, BEN], AT_US + 100 * SECOND_US)
    await deployment.until_kept(EVENTS, kept[EVENTS] + ORDERS)
    await deployment.until_kept(PREDICTIONS, kept[PREDICTIONS] + 2)
    await deployment.until_kept(OUTCOMES, kept[OUTCOMES] + ORDERS)
    await deployment.until_stored(deployment.row_key(leaving))


async def test_what_is_sensitive_is_written_nowhere_and_who_is_forgotten_is_gone(
    deployment: Deployment,
) -> None:
    await live(deployment, ANNA, 0)
    for customer in (ANNA, BEN):
        await deployment.wait_for_outcome(customer, AT_US)
    key = Pseudonyms(deployment.key_file.read_bytes().strip()).of(f"card-of-{BEN}")

    # What is dropped or hashed is nowhere but in the source's own topic.
    for secret in ("secret.example", "card-of-"):
        assert deployment.lake_files_with(secret) == []
        assert await deployment.redis_keys_with(secret) == []
    letters = await deployment.records(f"{TOPIC}.dlq")
    assert len(letters) == 2
    assert "anna" not in str([(one.key, one.value, one.headers) for one in letters])
    assert set(deployment.column(EVENTS, "card")) >= {key}
    await deployment.until_stored(deployment.row_key(key, "card_orders"))

    scores = await score(deployment, [ANNA, BEN, ANNA])
    found = await deployment.cli.read("forget", "customer", ANNA, "--dry-run")
    assert found["tables"][scores] == 2
    assert found["scores_not_reached"] == {}
    assert found["tables"][EVENTS] == ORDERS // 4
    assert found["tables"][PREDICTIONS] == 1
    assert found["feature_rows"] == {"customer_orders": 1}
    assert found["waiting_predictions"] == 1

    receipt = (await deployment.forget("customer", ANNA))["receipt"]
    assert receipt["tables"][EVENTS]["rows"] == ORDERS // 4
    assert receipt["tables"][PREDICTIONS]["rows"] == 1
    assert receipt["tables"][scores]["rows"] == 2
    assert deployment.column(scores, "customer") == [BEN]
    assert receipt["tables"][OUTCOMES]["rows"] == ORDERS // 4
    assert receipt["feature_rows"] == {"customer_orders": "deleted"}
    assert receipt["waiting_predictions"] == 1
    assert len(await deployment.redis_keys_with(f"w-{BEN}")) == 1
    assert receipt["topics"][TOPIC].startswith("never")
    assert deployment.lake_files_with(ANNA) == []
    assert await deployment.redis_keys_with(ANNA) == []
    assert set(deployment.column(EVENTS, "customer")) == {BEN}
    assert len(deployment.column(OUTCOMES, "_offset")) == ORDERS - ORDERS // 4
    assert ANNA not in str(await deployment.cli.read("audit", "list"))
    assert "whole" in await deployment.cli.show("audit", "verify")
    assert await deployment.cli.read("models", "list") == []


async def test_topics_read_again_bring_nobody_back_and_later_events_begin_anew(
    deployment: Deployment,
) -> None:
    await live(deployment, CARL, 2000)
    erased = await deployment.forget("customer", CARL)
    await deployment.publish([order(3000, CARL, at_us=erased["until_us"] + 60 * SECOND_US)])
    row = await deployment.until_stored(deployment.row_key(CARL))
    await until(lambda: CARL in deployment.column(EVENTS, "customer"))
    kept = deployment.column(EVENTS, "_id")

    # Another lake, from the topics' beginning: the archiver leaves out what was erased.
    again = deployment.lake.parent / "another-lake"
    await deployment.platform.processes[ARCHIVER.name].stop(20)
    await deployment.platform.start(
        ProcessSpec("archiver-again", "archiver", environment={"LAKE_URI": str(again)})
    )
    await deployment.until_kept(EVENTS, len(kept), again)
    assert sorted(deployment.column(EVENTS, "_id", again)) == sorted(kept)
    assert deployment.column(EVENTS, "customer", again).count(CARL) == 1

    # Rows that were lost are made again of the lake: the same as those that were served.
    async with deployment.redis() as client:
        await client.flushdb()
    result = await deployment.cli.run("features", "backfill", "--json", "--lake", str(again))
    assert result.exit_code == 0, result.output
    made = await deployment.until_stored(deployment.row_key(CARL))
    assert made[24:] == row[24:]


async def test_what_is_older_than_declared_leaves_topic_and_lake(deployment: Deployment) -> None:
    day_us = 86_400 * SECOND_US
    before = deployment.column(EVENTS, "_id")
    await deployment.publish([order(5000 + n, BEN, at_us=AT_US + n * day_us) for n in range(40)])
    lake = deployment.lake.parent / "another-lake"
    await deployment.until_kept(EVENTS, len(before) + 40, lake)
    as_of = "2023-12-24T10:00:00"  # 40 days after the first
    found = {one["name"]: one for one in await read_retention(deployment, "--as-of", as_of)}
    assert not found[TOPIC]["holds"]
    assert not found[EVENTS]["holds"]
    assert found["tidemark.predictions.made.v1"]["declared_seconds"] is None

    found = {one["name"]: one for one in await read_retention(deployment, "--as-of", as_of, "--apply")}
    assert found[TOPIC]["actual_seconds"] == 60 * 86_400
    assert found[EVENTS]["holds"]
    kept = deployment.column(EVENTS, "_event_time", lake)
    assert min(kept).isoformat() == "2023-11-24T22:13:20+00:00"
    assert await read_retention(deployment, "--as-of", as_of) == list(found.values())


async def read_retention(deployment: Deployment, *arguments: str) -> list[dict[str, object]]:
    lake = str(deployment.lake.parent / "another-lake")
    return list(await deployment.cli.read("retention", "--lake", lake, *arguments))
