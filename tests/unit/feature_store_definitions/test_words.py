"""Words say features to people and change nothing that is hashed."""

import pytest
from feature_store import (
    Contract,
    Count,
    DefinitionError,
    Entity,
    ExplainWhen,
    FeatureView,
    Json,
    RequestTime,
    Share,
    Source,
    TimeSince,
    Words,
    field,
    request,
)
from feature_store.expressions import FieldType
from feature_store.said import said

orders = Source("orders.v1", format=Json({"user": "text", "gift": "flag", "at": "time"}), event_time="at")
user = Entity("user")


class Spoken(FeatureView):
    source, entity = orders, user
    orders_1h = Count(window="1h", words=Words("{key} ordered {value} in the last hour", "times"))


class Unspoken(FeatureView):
    source, entity = orders, user
    gift_share_1h = Share(where=field("gift"), window="1h")
    since_1h = TimeSince(window="1h", unit="minutes")


def test_a_feature_is_said_in_its_words_or_by_its_name() -> None:
    assert said(Spoken.orders_1h).words == Words("{key} ordered {value} in the last hour", "times")
    assert said(Spoken.orders_1h).entity == ("user",)
    assert said(Unspoken.gift_share_1h).words == Words("unspoken of {key}: gift share 1h is {value}", "%")
    assert said(Unspoken.since_1h).words.unit == "minutes"
    basket = RequestTime("basket_size", request("basket"))
    assert said(basket).words == Words("basket size is {value}")
    worded = RequestTime("basket_size", request("basket"), words=Words("The basket holds {value}", "things"))
    assert said(worded).words.unit == "things"


def test_words_are_part_of_no_hash() -> None:
    plain = RequestTime("basket", request("basket"))
    worded = RequestTime("basket", request("basket"), words=Words("The basket holds {value}"))
    inputs = {"basket": FieldType.NUMBER}
    assert Contract.over("", [plain], inputs).hash == Contract.over("", [worded], inputs).hash

    def view(words: Words | None) -> bytes:
        class Orders(FeatureView):
            source, entity = orders, user
            orders_1h = Count(window="1h", words=words)

        return Orders.view.digest

    assert view(None) == view(Words("{key} ordered {value}"))


@pytest.mark.parametrize("sentence", ["no place", "{key} ordered", "{value} {other}", "{value", "{value} {}"])
def test_a_sentence_without_its_places_is_refused_where_it_stands(sentence: str) -> None:
    with pytest.raises(DefinitionError, match=r"test_words.py:\d+: Words: its sentence"):
        Words(sentence)


@pytest.mark.parametrize("bounds", [{}, {"at_or_above": float("nan")}, {"below": float("inf")}])
def test_a_policy_without_a_bound_is_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(DefinitionError, match=r"test_words.py:\d+: ExplainWhen: at_or_above is"):
        ExplainWhen(**bounds)
    with pytest.raises(DefinitionError, match="1 to 100 can be told"):
        ExplainWhen(below=0.5, reasons=0)
