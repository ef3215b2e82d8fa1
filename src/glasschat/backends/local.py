"""The backend that generates replies with a model in this process."""

import threading
from collections.abc import Callable, Sequence
from typing import Self

from glasschat.backends.base import Description, Loader
from glasschat.backends.host import ModelHost, RestartLimit
from glasschat.backends.vocabulary import Vocabulary
from glasschat.engine import DEFAULT_START, Engine, EngineStats, Generation, StartOptions
from glasschat.prompt import ChatMessage, ContextPolicy, PromptEncoding
from glasschat.sampling import NO_STAGES, SamplingParams, Stage, StageClasses


class LocalBackend:
    """Implements Backend with an engine in this process; a ModelHost loads and restarts it."""

    def __init__(
        self,
        loader: Loader,
        *,
        name: str,
        max_waiting: int = 64,
        prefix_cache_bytes: int | None = None,
        exact: bool = False,
        raw: bool = False,
        stage_classes: StageClasses = NO_STAGES,
        restarts: RestartLimit | None = None,
    ) -> None:
        """Take the arguments of ModelHost."""
        self._host = ModelHost(
            loader,
            name=name,
            max_waiting=max_waiting,
            prefix_cache_bytes=prefix_cache_bytes,
            exact=exact,
            raw=raw,
            stage_classes=stage_classes,
            restarts=restarts,
        )
        self._max_waiting = max_waiting
        self._reply_listeners: tuple[Callable[[Generation], None], ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self) -> None:
        """Load the model and start the engine. Raises ModelError."""
        self._host.load()

    def load_in_background(self) -> threading.Thread:
        """Load in a thread; a failure shows in `describe` and in the log."""
        return self._host.load_in_background()

    def describe(self) -> Description:
        """Return what the backend is and whether it is ready; cheap, from any thread."""
        return self._host.describe()

    def close(self) -> None:
        """End what is running and free the model's memory."""
        self._host.close()

    @property
    def engine(self) -> Engine:
        """Return the engine. Raises EngineStopped while there is none."""
        return self._host.served.engine

    @property
    def max_replies(self) -> int:
        """Return how many replies can run or wait. Raises EngineStopped without an engine."""
        return self._max_waiting + self.engine.model.runner.slots

    def stats(self) -> EngineStats:
        """Return the load of the engine. Raises EngineStopped while there is none."""
        return self.engine.stats()

    def encode(self, messages: Sequence[ChatMessage]) -> PromptEncoding:
        """Return the prompt for what comes after `messages`, however long.

        Raises PromptError, EngineStopped.
        """
        with self._host.served.prompts() as fitter:
            return fitter.maker.prompt_for(messages)

    def fit(
        self,
        messages: Sequence[ChatMessage],
        params: SamplingParams,
        policy: ContextPolicy = ContextPolicy.REFUSE,
    ) -> PromptEncoding:
        """Return the prompt that `start` would use, and what it leaves out. Raises the same."""
        served = self._host.served
        with served.prompts() as fitter:
            return fitter.fit(messages, params, served.engine.model.runner.context, policy)

    def settle(self, params: SamplingParams) -> SamplingParams:
        """Return `params`: every setting is taken here."""
        return params

    def measure(self, messages: Sequence[ChatMessage]) -> int:
        """Return how many tokens of the context `messages` take, nothing left out."""
        served = self._host.served
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
        """Begin a reply to `messages`, or continue the reply that is the last of them.

        `trace`, `start_options` and `constraint` are those of Engine.submit. Raises as
        Backend.start does.
        """
        served = self._host.served
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
        return self._announce(generation)

    def complete(
        self,
        ids: Sequence[int],
        params: SamplingParams,
        *,
        trace: bool = True,
        constraint: Stage | None = None,
    ) -> Generation:
        """Begin a reply that continues `ids` as they are. Raises PromptError, EngineError."""
        served = self._host.served
        with served.prompts():
            generation = served.engine.submit(ids, params, trace=trace, constraint=constraint)
        return self._announce(generation)

    def text_of(self, ids: Sequence[int]) -> str:
        """Return the text of the first `ids` of a reply. Raises InvalidMessage, EngineStopped."""
        return self.vocabulary.text_of(ids)

    @property
    def vocabulary(self) -> Vocabulary:
        """Return the model's tokens. Raises EngineStopped while there are none."""
        return self._host.served.vocabulary

    def on_reply(self, callback: Callable[[Generation], None]) -> None:
        """Have `callback` called with every reply from now on, as soon as it is queued."""
        self._reply_listeners = (*self._reply_listeners, callback)

    def _announce(self, generation: Generation) -> Generation:
        """Call the listeners with a new reply, and return it."""
        for callback in self._reply_listeners:
            callback(generation)
        return generation
