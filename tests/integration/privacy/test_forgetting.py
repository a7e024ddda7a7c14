"""A customer is forgotten: nothing is left in lake, rows or training sets, and it stays so."""

from feature_store import Pseudonyms
from feature_store.online.redis import RedisFeatureRows
from privacy_kit import AT_US, SECOND_US, TOPIC, Deployment, order

ANNA, BEN = "anna-who-leaves", "ben-who-stays"
ORDERS = 40
ROW = b"tm:f:customer_orders:"


async def live(deployment: Deployment) -> None:
    orders = [order(number, ANNA if number % 4 == 0 else BEN) for number in range(ORDERS)]
    bad = [order(900, ANNA, amount=-1.0), order(901, BEN, email="no address of anna-who-leaves")]
    await deployment.publish([*orders, *bad])
    await deployment.predict([ANNA, BEN], AT_US + 100 * SECOND_US)
    await deployment.until_kept(f"sources/{TOPIC}", ORDERS)
    await deployment.until_kept("predictions_made", 2)
    await deployment.until_kept("outcomes_observed", ORDERS)
    await deployment.until_stored(ROW + ANNA.encode())


async def test_what_is_sensitive_is_written_nowhere_and_who_is_forgotten_is_gone(
    deployment: Deployment,
) -> None:
    await live(deployment)
    key = Pseudonyms(deployment.key_file.read_bytes().strip()).of(f"card-of-{BEN}")

    # What is dropped or hashed is nowhere but in the source's own topic.
    for secret in ("secret.example", "card-of-"):
        assert deployment.lake_files_with(secret) == []
        assert await deployment.redis_keys_with(secret) == []
    letters = await deployment.records(f"{TOPIC}.dlq")
    assert len(letters) == 2
    assert not any(
        b"anna" in (one.value or b"") + (one.key or b"") + str(one.headers).encode() for one in letters
    )
    assert set(deployment.column(f"sources/{TOPIC}", "card")) >= {key}
    await deployment.until_stored(b"tm:f:card_orders:" + key.encode())

    found = await deployment.cli.read("forget", "customer", ANNA, "--dry-run")
    assert found["tables"][f"sources/{TOPIC}"] == ORDERS // 4
    assert found["tables"]["predictions_made"] == 1
    assert found["feature_rows"] == {"customer_orders": 1}

    receipt = (await deployment.forget("customer", ANNA))["receipt"]
    assert receipt["tables"][f"sources/{TOPIC}"]["rows"] == ORDERS // 4
    assert receipt["tables"]["predictions_made"]["rows"] == 1
    assert receipt["tables"]["outcomes_observed"]["rows"] == ORDERS // 4
    assert receipt["feature_rows"] == {"customer_orders": "deleted"}
    assert receipt["topics"][TOPIC].startswith("never")
    assert deployment.lake_files_with(ANNA) == []
    assert await deployment.redis_keys_with(ANNA) == []
    assert set(deployment.column(f"sources/{TOPIC}", "customer")) == {BEN}
    assert len(deployment.column("outcomes_observed", "_offset")) == ORDERS - ORDERS // 4
    assert ANNA not in str(await deployment.cli.read("audit", "list"))
    assert "whole" in await deployment.cli.show("audit", "verify")


async def test_topics_read_again_bring_nobody_back_and_later_events_begin_anew(
    deployment: Deployment,
) -> None:
    await live(deployment)
    erased = await deployment.forget("customer", ANNA)
    later_us = erased["until_us"] + 60 * SECOND_US
    await deployment.publish([order(1000, ANNA, at_us=later_us)])
    row = await deployment.until_stored(ROW + ANNA.encode())
    await deployment.until_kept(f"sources/{TOPIC}", ORDERS - ORDERS // 4 + 1)

    # Another lake, from the topics' beginning: the archiver leaves out what was erased.
    again = deployment.lake.parent / "another-lake"
    from privacy_kit import ARCHIVER  # noqa: PLC0415
    from tidemark_cli.platform import ProcessSpec  # noqa: PLC0415

    await deployment.platform.processes[ARCHIVER.name].stop()
    await deployment.platform.start(
        ProcessSpec("archiver-again", "archiver", environment={"LAKE_URI": str(again)})
    )
    await deployment.until_kept(f"sources/{TOPIC}", ORDERS - ORDERS // 4 + 1, again)
    assert deployment.column(f"sources/{TOPIC}", "customer", again).count(ANNA) == 1
    assert set(deployment.column("predictions_made", "request_key", again)) <= {"p-1"}

    # Rows that were lost are made again of the lake: the same as those that were served.
    async with deployment.redis() as client:
        await client.flushdb()
    result = await deployment.cli.run("features", "rebuild", "--json", "--redis", deployment.stack.redis_url)
    assert result.exit_code == 0, result.output
    async with deployment.redis() as client:
        [made] = await RedisFeatureRows(client).read([ROW + ANNA.encode()])
    assert made is not None
    assert made[24:] == row[24:]
