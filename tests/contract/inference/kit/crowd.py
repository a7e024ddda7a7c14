"""A project of two hundred models, for tests of how many are held in memory."""

from feature_store import Json, Label, ModelSpec, RequestTime, Source, TrainingExamples, field, request
from shop import train_nothing

MODELS = 200

asked = Source(
    "crowd.asked.v1",
    format=Json({"id": "text", "amount": "number", "at": "time", "true": "flag"}),
    event_time="at",
    partitions=1,
)
came_true = Label("came_true", source=asked, request_key="id", value=field("true"))
amount = RequestTime("amount", request("amount"))

for number in range(MODELS):
    globals()[f"model_{number}"] = ModelSpec(
        f"crowd-{number}",
        features=[amount],
        label=came_true,
        examples=TrainingExamples(source=asked, time=field("at"), entities={}, context={"amount": "amount"}),
        train=train_nothing,
    )
