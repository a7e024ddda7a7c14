"""One fact: what it means is decided, kept, and only then told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrain_trigger.domain.deciding import apply
from retrain_trigger.ports import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bus.events import Event

    from retrain_trigger.domain.effects import Effect
    from retrain_trigger.domain.facts import Fact
    from retrain_trigger.domain.rules import Rules
    from retrain_trigger.ports import Addressed, Publish, States

    Address = Callable[[Effect, str, Event], Addressed]
    """Puts an effect for a model, caused by an event, in its envelope."""


class Trigger:
    """Decides for every model that has policies; facts of a model must come one after the other.

    Args:
        rules: By model.
        address: See above.
        told: Is shown each effect once it has been told.
    """

    def __init__(
        self,
        *,
        rules: Mapping[str, Rules],
        states: States,
        publish: Publish,
        address: Address,
        told: Callable[[str, Effect], None],
    ) -> None:
        self._rules = rules
        self._states = states
        self._publish = publish
        self._address = address
        self._told = told

    async def on_fact(self, fact: Fact, cause: Event) -> None:
        """Return when all that follows from a fact is kept and told; a fact told again changes nothing.

        A model without policies is passed over.

        Raises:
            VoidDecision: See `domain.deciding.apply`.
            UnreadableState: See `States.load`.
            Unavailable: Something is away; the fact must be handed over again.
        """
        rules = self._rules.get(fact.model)
        if rules is None:
            return
        kept = self._states.load(fact.model)
        if kept.untold:
            # A crash came between keeping and telling.
            kept = await self._tell(fact.model, kept)
        state, effects = apply(kept.state, fact, rules)
        if state == kept.state:
            return
        kept = Kept(state, tuple(self._address(effect, fact.model, cause) for effect in effects))
        await self._states.save(fact.model, kept)
        if effects:
            await self._tell(fact.model, kept)
            self._count(fact.model, effects)

    async def _tell(self, model: str, kept: Kept) -> Kept:
        for addressed in kept.untold:
            await self._publish.publish_all(addressed.topic, [addressed.event])
        done = Kept(kept.state)
        await self._states.save(model, done)
        return done

    def _count(self, model: str, effects: Sequence[Effect]) -> None:
        for effect in effects:
            self._told(model, effect)
