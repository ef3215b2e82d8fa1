"""A model in this process from its loading to its end, whatever happens to its engine between."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Self

from glasschat.backends.base import Description, Loader, Readiness
from glasschat.backends.provenance import provenance
from glasschat.backends.vocabulary import Vocabulary
from glasschat.engine import Engine, Generation, reset_runner
from glasschat.errors import EngineStopped, GlasschatError, ParameterError
from glasschat.models.base import Model
from glasschat.models.memory import spare_bytes
from glasschat.prompt import ChatTemplate, PlainText, PromptFitter, with_turn_end
from glasschat.sampling import NO_STAGES, SETTINGS, SamplingParams, StageClasses


class Serving:
    """Owns the model from now on, and the engine on it, which is replaced when it has failed."""

    def __init__(
        self,
        model: Model,
        template: ChatTemplate | PlainText,
        start_engine: Callable[[Model], Engine],
    ) -> None:
        self._model = model
        self._start_engine = start_engine
        self._lock = threading.Lock()
        self._closed = False
        self._prompts = PromptFitter(template)
        self.vocabulary = Vocabulary(model.tokenizer, self.prompts)
        self.engine = start_engine(model)

    @contextmanager
    def prompts(self) -> Iterator[PromptFitter]:
        """How prompts are made; meanwhile the tokenizer stays. Raises EngineStopped once closed."""
        with self._lock:
            if self._closed:
                raise EngineStopped("the engine has been closed")
            yield self._prompts

    def start_again(self) -> None:
        """Put a fresh engine in the place of one that has failed, on the model as it is.

        Raises whatever the runner raises where it cannot be used any more.
        """
        self.engine.stop()
        with self.prompts():
            reset_runner(self._model.runner)
            self.engine = self._start_engine(self._model)

    def close(self) -> None:
        """End what is running, and give the model's memory back."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.engine.stop()
        # Nobody reads the vocabulary any more when its memory is freed.
        self.vocabulary.close()
        self._model.runner.close()


def usable(recommended: Mapping[str, float]) -> dict[str, float]:
    """Return those of the recommendations that are settings, in their range and type.

    In the order of the table of settings. A stranger wrote them.
    """
    usable: dict[str, float] = {}
    for name, row in SETTINGS.items():
        value = recommended.get(row.wire.get("generation_config", ""))
        if value is None:
            continue
        # A whole number is often written as a float.
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        setting: dict[str, Any] = {name: number}
        with suppress(ParameterError):
            usable[name] = getattr(SamplingParams(**setting), name)
    return usable


MOST = 3
WITHIN_S = 600.0


class Restarts:
    """At most `most` within `within_s` seconds: what fails more often is not mended that way.

    `count` is how many there have been. For one caller at a time.
    """

    def __init__(
        self,
        most: int = MOST,
        within_s: float = WITHIN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self.within_s = within_s
        self.count = 0
        self._clock = clock
        self._moments: deque[float] = deque()

    def allow(self) -> bool:
        """Whether it may be started again now; if so, that counts as done."""
        now = self._clock()
        while self._moments and now - self._moments[0] > self.within_s:
            self._moments.popleft()
        if len(self._moments) >= self.most:
            return False
        self._moments.append(now)
        self.count += 1
        return True


log = logging.getLogger(__name__)


class ModelHost:
    """Loads a model, keeps an engine on it running, says how that is, gives it back.

    `load` may run in the background while the first pages are drawn already. `name` is shown until
    the model's own is known. `prefix_cache_bytes` are for conversations without a slot, by default
    a part of what memory is left. With `raw` messages are continued as plain text, without any
    template: for base models. Replies may ask for stages of `stage_classes`. An engine that ends by
    a fault is started again, as often as `restarts` allows: on the model as it is where that still
    computes, else the model is loaded anew.
    """

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
        restarts: Restarts | None = None,
    ) -> None:
        self._loader = loader
        self._raw = raw
        self._max_waiting = max_waiting
        self._shelf_bytes = prefix_cache_bytes
        self._exact = exact
        self._lock = threading.Lock()
        self._closed = False
        self._restarts = restarts or Restarts()
        self._serving: Serving | None = None
        self._loading: threading.Thread | None = None
        self._told: tuple[Callable[[Generation], None], ...] = ()
        self._description = Description(Readiness.LOADING, name, stage_classes=stage_classes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self) -> None:
        """Load the model and start the engine. Raises ModelError."""
        model: Model | None = None
        try:
            model = self._loader(self._progress)
            model, template = self._prepared(model)
            source = template.source if isinstance(template, ChatTemplate) else None
            facts = provenance(model.info.path, source)
        except Exception as error:
            if model is not None:
                model.runner.close()
            why = str(error)
            if (fault := self._description.last_fault) is not None:
                why = f"the engine has failed ({fault}) and its model cannot be loaded again: {why}"
            self._description = replace(
                self._description, readiness=Readiness.FAILED, progress=0.0, error=why
            )
            raise
        ready = replace(
            self._description,
            readiness=Readiness.READY,
            name=model.info.name,
            detail=model.info.quantization,
            recommended=usable(model.info.recommended),
            context=model.runner.context,
            slots=model.runner.slots,
            progress=1.0,
            error=None,
            provenance=facts,
        )
        with self._lock:
            if self._closed:
                model.runner.close()
                return
            self._serving = Serving(model, template, self._start_engine)
            self._description = ready

    def _start_engine(self, model: Model) -> Engine:
        return Engine(
            model,
            max_waiting=self._max_waiting,
            prefix_cache_bytes=spare_bytes() if self._shelf_bytes is None else self._shelf_bytes,
            exact=self._exact,
            stage_classes=self._description.stage_classes,
            on_failure=self._engine_failed,
        )

    def _prepared(self, model: Model) -> tuple[Model, ChatTemplate | PlainText]:
        """How its prompts are made; the model, whose replies end where its turns do."""
        if self._raw:
            return model, PlainText(model.tokenizer)
        template = ChatTemplate(model.tokenizer)
        return replace(model, tokenizer=with_turn_end(model.tokenizer, template)), template

    def load_in_background(self) -> threading.Thread:
        """Load in a thread of its own; a failure shows in `describe` and in the log."""
        with self._lock:
            return self._in_background(self.load)

    def _in_background(self, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except GlasschatError as error:
                if not self._closed:
                    log.error("%s", error)
            except Exception:
                log.exception("the model could not be loaded")

        self._loading = thread = threading.Thread(target=run, name="glasschat-load", daemon=True)
        thread.start()
        return thread

    # --- after a fault --------------------------------------------------------------------

    def _engine_failed(self, fault: str) -> None:
        """The engine is about to end: see to another. Its own thread calls."""
        with self._lock:
            if self._closed:
                return
            restarts = self._restarts
            if again := restarts.allow():
                why = f"the engine has failed ({fault}) and is being started again"
            else:
                why = (
                    f"the engine has failed more than {restarts.most} times within "
                    f"{restarts.within_s / 60:.0f} minutes, the last time with {fault}: "
                    "the server's log says where"
                )
                log.error("%s: it is not started again", why)
            self._description = replace(
                self._description,
                readiness=Readiness.LOADING if again else Readiness.FAILED,
                progress=0.0,
                error=why,
                restarts=restarts.count,
                last_fault=fault,
            )
            if again:
                self._in_background(self._start_again)

    def _start_again(self) -> None:
        with self._lock:
            serving = self._serving
            if self._closed or serving is None:
                return
            try:
                serving.start_again()
            except Exception as error:
                log.error("the model is loaded again: it cannot be used as it is: %s", error)
                self._serving = None
            else:
                log.warning("the engine has been started again")
                self._description = replace(
                    self._description, readiness=Readiness.READY, progress=1.0, error=None
                )
                return
        try:
            serving.close()
        except Exception:
            # What is left of it must not keep a new one from being tried.
            log.exception("the failed model's memory could not be given back")
        self.load()

    # --- what it is -----------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """The engine. Raises EngineStopped while there is none."""
        return self._served.engine

    @property
    def _served(self) -> Serving:
        serving = self._serving
        if serving is None:
            reason = self._description.error or "the model is still loading: wait a moment"
            raise EngineStopped(reason)
        return serving

    def describe(self) -> Description:
        """See Backend.describe."""
        return self._description

    def close(self) -> None:
        """See Backend.close."""
        with self._lock:
            self._closed = True
            loading, serving = self._loading, self._serving
        if serving is not None:
            serving.close()
        if loading is not None:
            loading.join()

    def _progress(self, share: float) -> None:
        if self._closed:
            raise EngineStopped("closed while the model was loading")
        self._description = replace(self._description, progress=share)
