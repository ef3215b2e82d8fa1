"""Replies from a model in this process."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from glasschat.backends.base import Description, Loader, Readiness
from glasschat.backends.provenance import provenance
from glasschat.backends.recommended import usable
from glasschat.backends.vocabulary import Vocabulary
from glasschat.engine import AT_ONCE, Beginning, Engine, EngineStats, Generation
from glasschat.errors import EngineStopped, GlasschatError
from glasschat.models.base import Model
from glasschat.prompt import (
    ChatMessage,
    ChatTemplate,
    ContextPolicy,
    PlainText,
    PromptEncoding,
    PromptFitter,
    with_turn_end,
)
from glasschat.sampling import NO_STAGES, SamplingParams, Stage, StageClasses

log = logging.getLogger(__name__)


class LocalBackend:
    """Implements Backend with an engine of our own.

    `load` may run in the background while the first pages are drawn already. `name` is shown
    until the model's own is known. With `raw` messages are continued as plain text, without any
    template: for base models. Replies may ask for stages of `stage_classes`.
    """

    def __init__(
        self,
        loader: Loader,
        *,
        name: str,
        max_waiting: int = 64,
        exact: bool = False,
        raw: bool = False,
        stage_classes: StageClasses = NO_STAGES,
    ) -> None:
        self._loader = loader
        self._raw = raw
        self._max_waiting = max_waiting
        self._engine_on = partial(
            Engine, max_waiting=max_waiting, exact=exact, stage_classes=stage_classes
        )
        self._lock = threading.Lock()
        self._closed = False
        self._engine: Engine | None = None
        self._prompts: PromptFitter | None = None
        self._vocabulary: Vocabulary | None = None
        self._loading: threading.Thread | None = None
        self._told: tuple[Callable[[Generation], None], ...] = ()
        self._description = Description(Readiness.LOADING, name, stage_classes=stage_classes)

    def __enter__(self) -> "LocalBackend":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self) -> None:
        """Load the model and start the engine. Raises ModelError."""
        name = self._description.name
        model: Model | None = None
        try:
            model = self._loader(self._progress)
            model, template = self._prepared(model)
            source = template.source if isinstance(template, ChatTemplate) else None
            facts = provenance(model.info.path, source)
        except Exception as error:
            if model is not None:
                model.runner.close()
            self._description = Description(Readiness.FAILED, name, error=str(error))
            raise
        with self._lock:
            if self._closed:
                model.runner.close()
                return
            self._engine = self._engine_on(model)
            self._prompts = PromptFitter(template)
            self._vocabulary = Vocabulary(model.tokenizer, self._fitter)
        self._description = Description(
            Readiness.READY,
            model.info.name,
            detail=model.info.quantization,
            recommended=usable(model.info.recommended),
            context=model.runner.context,
            slots=model.runner.slots,
            progress=1.0,
            provenance=facts,
            stage_classes=self._description.stage_classes,
        )

    def _prepared(self, model: Model) -> tuple[Model, ChatTemplate | PlainText]:
        """How its prompts are made; the model, whose replies end where its turns do."""
        if self._raw:
            return model, PlainText(model.tokenizer)
        template = ChatTemplate(model.tokenizer)
        return replace(model, tokenizer=with_turn_end(model.tokenizer, template)), template

    def load_in_background(self) -> threading.Thread:
        """Load in a thread of its own; a failure shows in `describe` and in the log."""

        def run() -> None:
            try:
                self.load()
            except GlasschatError as error:
                if not self._closed:
                    log.error("%s", error)
            except Exception:
                log.exception("the model could not be loaded")

        thread = threading.Thread(target=run, name="glasschat-load", daemon=True)
        self._loading = thread
        thread.start()
        return thread

    @property
    def engine(self) -> Engine:
        """The engine. Raises EngineStopped while there is none."""
        if self._engine is None:
            reason = self._description.error or "the model is still loading: wait a moment"
            raise EngineStopped(reason)
        return self._engine

    def describe(self) -> Description:
        """See Backend.describe."""
        description = self._description
        if self._engine is not None and (failure := self._engine.stats().failed):
            error = f"the engine has failed: {failure}"
            return replace(description, readiness=Readiness.FAILED, error=error)
        return description

    @property
    def most_at_once(self) -> int:
        """How many replies can run or wait. Raises EngineStopped while there is no engine."""
        return self._max_waiting + self.engine.model.runner.slots

    def stats(self) -> EngineStats:
        """What the engine is doing. Raises EngineStopped while there is none."""
        return self.engine.stats()

    def encode(self, messages: Sequence[ChatMessage]) -> PromptEncoding:
        """The prompt for what comes after `messages`, however long.

        Raises PromptError, EngineStopped.
        """
        with self._fitter() as fitter:
            return fitter.maker.prompt_for(messages)

    def fit(
        self,
        messages: Sequence[ChatMessage],
        params: SamplingParams,
        policy: ContextPolicy = ContextPolicy.REFUSE,
    ) -> PromptEncoding:
        """See Backend.fit."""
        with self._fitter() as fitter:
            return fitter.fit(messages, params, self.engine.model.runner.context, policy)

    def settle(self, params: SamplingParams) -> SamplingParams:
        """See Backend.settle."""
        return params

    def measure(self, messages: Sequence[ChatMessage]) -> int:
        """See Backend.measure."""
        with self._fitter() as fitter:
            return fitter.measure(messages, self.engine.model.runner.context)

    def start(
        self,
        messages: Sequence[ChatMessage],
        params: SamplingParams,
        *,
        policy: ContextPolicy = ContextPolicy.REFUSE,
        trace: bool = True,
        beginning: Beginning = AT_ONCE,
        constraint: Stage | None = None,
    ) -> Generation:
        """See Backend.start; the rest is Engine.submit's."""
        prompt = self.fit(messages, params, policy)
        generation = self.engine.submit(
            prompt, params, trace=trace, beginning=beginning, constraint=constraint
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
        return self._announced(self.engine.submit(ids, params, trace=trace, constraint=constraint))

    def text_of(self, ids: Sequence[int]) -> str:
        """See Backend.text_of."""
        return self.vocabulary.text_of(ids)

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens. Raises EngineStopped while there are none."""
        _ = self.engine
        assert self._vocabulary is not None
        return self._vocabulary

    def on_reply(self, tell: Callable[[Generation], None]) -> None:
        """Have `tell` called with every reply from now on, as soon as it is queued."""
        self._told = (*self._told, tell)

    def _announced(self, generation: Generation) -> Generation:
        for tell in self._told:
            tell(generation)
        return generation

    @contextmanager
    def _fitter(self) -> Iterator[PromptFitter]:
        # Close frees the vocabulary, so nobody may be reading it then.
        with self._lock:
            if self._closed:
                raise EngineStopped("the engine has been closed")
            _ = self.engine
            assert self._prompts is not None
            yield self._prompts

    def close(self) -> None:
        """See Backend.close."""
        with self._lock:
            self._closed = True
            loading = self._loading
            if self._engine is not None:
                self._engine.close()
        if loading is not None:
            loading.join()

    def _progress(self, share: float) -> None:
        if self._closed:
            raise EngineStopped("closed while the model was loading")
        self._description = replace(self._description, progress=share)
