"""Lifecycle of a model in this process: loading, serving, restarting its engine, closing."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from glasschat.backends.base import Description, Loader, Readiness
from glasschat.backends.provenance import provenance
from glasschat.backends.vocabulary import Vocabulary
from glasschat.engine import Engine, reset_runner
from glasschat.errors import EngineStopped, GlasschatError, ParameterError
from glasschat.messages import Message
from glasschat.models.base import Model
from glasschat.models.memory import spare_bytes
from glasschat.prompt import ChatTemplate, PlainText, PromptFitter, with_turn_end
from glasschat.sampling import NO_STAGES, SETTINGS, SamplingParams, StageClasses

log = logging.getLogger(__name__)

MAX_RESTARTS = 3
RESTART_WINDOW_S = 600.0


class ServedModel:
    """A loaded model with its engine, its prompts and its vocabulary. It owns the model.

    The engine is replaced when it has failed.
    """

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
        """Lend the PromptFitter and keep the tokenizer open. Raises EngineStopped once closed."""
        with self._lock:
            if self._closed:
                raise EngineStopped("the engine has been closed")
            yield self._prompts

    def restart_engine(self) -> None:
        """Replace an engine that has failed by a new one on the same model.

        Raises what the runner raises where it cannot be used any more.
        """
        self.engine.stop()
        with self.prompts():
            reset_runner(self._model.runner)
            self.engine = self._start_engine(self._model)

    def close(self) -> None:
        """End what is running, and free the model's memory."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.engine.stop()
        # Nobody reads the vocabulary any more when its memory is freed.
        self.vocabulary.close()
        self._model.runner.close()


def valid_recommendations(recommended: Mapping[str, float]) -> dict[str, float]:
    """Return the recommended settings that SamplingParams accepts; a stranger wrote them."""
    valid: dict[str, float] = {}
    for name, row in SETTINGS.items():
        value = recommended.get(row.wire.get("generation_config", ""))
        if value is None:
            continue
        # A whole number is often written as a float.
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        setting: dict[str, Any] = {name: number}
        with suppress(ParameterError):
            valid[name] = getattr(SamplingParams(**setting), name)
    return valid


class RestartLimit:
    """Allows at most `most` restarts within `within_s` seconds.

    What fails more often is not repaired that way. `count` is how many restarts there have been.
    For one caller at a time.
    """

    def __init__(
        self,
        most: int = MAX_RESTARTS,
        within_s: float = RESTART_WINDOW_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self.within_s = within_s
        self.count = 0
        self._clock = clock
        self._moments: deque[float] = deque()

    def allow(self) -> bool:
        """Return whether a restart is allowed now; if so, count it."""
        now = self._clock()
        while self._moments and now - self._moments[0] > self.within_s:
            self._moments.popleft()
        if len(self._moments) >= self.most:
            return False
        self._moments.append(now)
        self.count += 1
        return True


class ModelHost:
    """Loads a model, keeps an engine on it running, describes its state, and closes it.

    `load` may run in the background while the first pages are drawn already. `name` is shown until
    the model's own is known. `prefix_cache_bytes` are for conversations without a slot, by default
    a part of the free memory. With `raw`, messages are continued as plain text, without any
    template: for base models. Replies may ask for stages of `stage_classes`. An engine that fails
    is started again, as often as `restarts` allows: on the same model where that still computes,
    else the model is loaded anew.
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
        restarts: RestartLimit | None = None,
    ) -> None:
        self._loader = loader
        self._raw = raw
        self._max_waiting = max_waiting
        self._prefix_cache_bytes = prefix_cache_bytes
        self._exact = exact
        self._lock = threading.Lock()
        self._closed = False
        self._restarts = restarts or RestartLimit()
        self._served_model: ServedModel | None = None
        self._loading: threading.Thread | None = None
        self._description = Description(Readiness.LOADING, name, stage_classes=stage_classes)

    def load(self) -> None:
        """Load the model and start the engine. Raises ModelError."""
        model: Model | None = None
        try:
            model = self._loader(self._progress)
            model, template = self._make_template(model)
            source = template.source if isinstance(template, ChatTemplate) else None
            origin = provenance(model.info.path, source)
        except Exception as error:
            if model is not None:
                model.runner.close()
            why = error.message if isinstance(error, GlasschatError) else Message(str(error))
            if (fault := self._description.last_fault) is not None:
                why = Message(
                    "the engine has failed ({fault}) and its model cannot be loaded again: {why}",
                    fault=fault,
                    why=why,
                )
            self._description = replace(
                self._description, readiness=Readiness.FAILED, progress=0.0, error=why
            )
            raise
        ready = replace(
            self._description,
            readiness=Readiness.READY,
            name=model.info.name,
            detail=model.info.quantization,
            recommended=valid_recommendations(model.info.recommended),
            context=model.runner.context,
            slots=model.runner.slots,
            progress=1.0,
            error=None,
            provenance=origin,
        )
        with self._lock:
            if self._closed:
                model.runner.close()
                return
            self._served_model = ServedModel(model, template, self._start_engine)
            self._description = ready

    def _start_engine(self, model: Model) -> Engine:
        """Start an engine on the model, with this host's options."""
        return Engine(
            model,
            max_waiting=self._max_waiting,
            prefix_cache_bytes=spare_bytes()
            if self._prefix_cache_bytes is None
            else self._prefix_cache_bytes,
            exact=self._exact,
            stage_classes=self._description.stage_classes,
            on_failure=self._engine_failed,
        )

    def _make_template(self, model: Model) -> tuple[Model, ChatTemplate | PlainText]:
        """Return the model, whose replies end where its turns do, and how its prompts are made."""
        if self._raw:
            return model, PlainText(model.tokenizer)
        template = ChatTemplate(model.tokenizer)
        return replace(model, tokenizer=with_turn_end(model.tokenizer, template)), template

    def load_in_background(self) -> threading.Thread:
        """Load in a thread; a failure shows in `describe` and in the log."""
        with self._lock:
            return self._run_in_background(self.load)

    def _run_in_background(self, work: Callable[[], None]) -> threading.Thread:
        """Run `work` in the loading thread; log what it raises."""

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

    def _engine_failed(self, fault: Message) -> None:
        """Start the restart of a failed engine, if allowed. The engine's own thread calls this."""
        with self._lock:
            if self._closed:
                return
            restarts = self._restarts
            if again := restarts.allow():
                why = Message(
                    "the engine has failed ({fault}) and is being started again", fault=fault
                )
            else:
                why = Message(
                    "the engine has failed more than {most} times within {minutes:.0f} minutes, "
                    "the last time with {fault}: the server's log says where",
                    most=restarts.most,
                    minutes=restarts.within_s / 60,
                    fault=fault,
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
                self._run_in_background(self._restart_or_reload)

    def _restart_or_reload(self) -> None:
        """Start a new engine on the same model; where that fails, load the model again."""
        with self._lock:
            served = self._served_model
            if self._closed or served is None:
                return
            try:
                served.restart_engine()
            except Exception as error:
                log.error("the model is loaded again: it cannot be used as it is: %s", error)
                self._served_model = None
            else:
                log.warning("the engine has been started again")
                self._description = replace(
                    self._description, readiness=Readiness.READY, progress=1.0, error=None
                )
                return
        try:
            served.close()
        except Exception:
            # What is left of it must not keep a new one from being tried.
            log.exception("the failed model's memory could not be given back")
        self.load()

    # --- what it is -----------------------------------------------------------------------

    @property
    def served(self) -> ServedModel:
        """Return the loaded model and its engine. Raises EngineStopped while there is none."""
        served = self._served_model
        if served is None:
            waiting = Message("the model is still loading: wait a moment")
            raise EngineStopped(self._description.error or waiting)
        return served

    def describe(self) -> Description:
        """Return what the backend is and whether it is ready; cheap, from any thread."""
        return self._description

    def close(self) -> None:
        """End what is running and free the model's memory."""
        with self._lock:
            self._closed = True
            loading, served = self._loading, self._served_model
        if served is not None:
            served.close()
        if loading is not None:
            loading.join()

    def _progress(self, share: float) -> None:
        """Publish the share of the loading. Raises EngineStopped once closed, to end it."""
        if self._closed:
            raise EngineStopped("closed while the model was loading")
        self._description = replace(self._description, progress=share)
