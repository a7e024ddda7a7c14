"""What a member of a group knows while it is in none."""

from bus.kafka.feed import KafkaFeed, Membership
from bus.positions import TopicPartition


async def test_who_asks_beside_the_runner_for_an_end_learns_that_it_is_not_known() -> None:
    feed = KafkaFeed("127.0.0.1:1", "group", ["topic"], Membership())
    assert feed.end_offset(TopicPartition("topic", 0)) is None
    await feed.close()
    assert feed.end_offset(TopicPartition("topic", 0)) is None
