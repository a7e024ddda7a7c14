"""What Kafka still holds of a subject, and until when: records cannot be deleted one by one."""

from datetime import timedelta

from bus.inspect import list_topics
from bus.kafka.admin import topic_configs
from bus.times import format_rfc3339
from bus.topics import CATALOGUE, dead_letter_of
from feature_store import Project
from feature_store.subjects import named_in

_ENTITIES = "entities"
_MICROSECOND = timedelta(microseconds=1)
FOR_EVER = "never: the topic keeps its records for ever"


async def gone_by(bootstrap: str, project: Project, entity: str, now_us: int) -> dict[str, str]:
    """Return, by topic that may hold records of an entity, when its retention has ended the last of now.

    Kafka deletes whole segments, so the time that a segment is written to (`segment.ms`) counts as well.

    Raises:
        Unavailable: the broker is away.
    """
    named = set(named_in(project.views.values(), project.models.values()).get(entity, {}))
    named |= {
        topic.name
        for topic in CATALOGUE
        if topic.message is not None and _ENTITIES in topic.message.DESCRIPTOR.fields_by_name
    }
    named |= {dead_letter_of(topic) for topic in named}
    found = {topic.name: topic for topic in await list_topics(bootstrap) if topic.name in named}
    configs = await topic_configs(bootstrap, list(found))
    return {
        name: _gone_by(topic.retention, int(configs[name]["segment.ms"]), now_us)
        for name, topic in found.items()
        if topic.records
    }


def _gone_by(retention: timedelta | None, segment_ms: int, now_us: int) -> str:
    if retention is None:
        return FOR_EVER
    return format_rfc3339(now_us + (retention + timedelta(milliseconds=segment_ms)) // _MICROSECOND)
