"""Replies from a model in this process."""

from collections.abc import Callable, Sequence

from glasschat.backends.host import ModelHost
from glasschat.backends.vocabulary import Vocabulary
from glasschat.engine import DEFAULT_START, EngineStats, Generation, StartOptions
from glasschat.prompt import ChatMessage, ContextPolicy, PromptEncoding
from glasschat.sampling import SamplingParams, Stage


class LocalBackend(ModelHost):
    """Implements Backend with an engine of our own; see ModelHost for how it comes and goes."""

    @property
    def max_replies(self) -> int:
        """How many replies can run or wait. Raises EngineStopped while there is no engine."""
        return self._max_waiting + self.engine.model.runner.slots

    def stats(self) -> EngineStats:
        """What the engine is doing. Raises EngineStopped while there is none."""
        return self.engine.stats()

    def encode(self, messages: Sequence[ChatMessage]) -> PromptEncoding:
        """The prompt for what comes after `messages`, however long.

        Raises PromptError, EngineStopped.
        """
        with self._served.prompts() as fitter:
            return fitter.maker.prompt_for(messages)

    def fit(
        self,
        messages: Sequence[ChatMessage],
        params: SamplingParams,
        policy: ContextPolicy = ContextPolicy.REFUSE,
    ) -> PromptEncoding:
        """See Backend.fit."""
        served = self._served
        with served.prompts() as fitter:
            return fitter.fit(messages, params, served.engine.model.runner.context, policy)

    def settle(self, params: SamplingParams) -> SamplingParams:
        """See Backend.settle."""
        return params

    def measure(self, messages: Sequence[ChatMessage]) -> int:
        """See Backend.measure."""
        served = self._served
        with served.prompts() as fitter:
            return fitter.measure(messages, served.engine.model.runner.context)

    def start(
        self,
        messages: Sequence[ChatMessage],
        params: SamplingParams,
        *,
        policy: ContextPolicy = ContextPolicy.REFUSE,
        trace: bool = True,
        start_options: StartOptions = DEFAULT_START,
        constraint: Stage | None = None,
    ) -> Generation:
        """See Backend.start; the rest is Engine.submit's."""
        served = self._served
        # Until it is queued the model must not be loaded anew.
        with served.prompts() as fitter:
            context = served.engine.model.runner.context
            generation = served.engine.submit(
                fitter.fit(messages, params, context, policy),
                params,
                trace=trace,
                start_options=start_options,
                constraint=constraint,
            )
        return self._announced(generation)

    def complete(
        self,
        ids: Sequence[int],
        params: SamplingParams,
        *,
        trace: bool = True,
        constraint: Stage | None = None,
    ) -> Generation:
        """Begin a reply that goes on with `ids` as they are. Raises PromptError, EngineError."""
        served = self._served
        with served.prompts():
            generation = served.engine.submit(ids, params, trace=trace, constraint=constraint)
        return self._announced(generation)

    def text_of(self, ids: Sequence[int]) -> str:
        """See Backend.text_of."""
        return self.vocabulary.text_of(ids)

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens. Raises EngineStopped while there are none."""
        return self._served.vocabulary

    def on_reply(self, tell: Callable[[Generation], None]) -> None:
        """Have `tell` called with every reply from now on, as soon as it is queued."""
        self._told = (*self._told, tell)

    def _announced(self, generation: Generation) -> Generation:
        for tell in self._told:
            tell(generation)
        return generation
