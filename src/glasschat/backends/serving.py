"""A loaded model at work: its engine, how its prompts are made, its tokens."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from glasschat.backends.vocabulary import Vocabulary
from glasschat.engine import Engine, revive
from glasschat.errors import EngineStopped
from glasschat.models.base import Model
from glasschat.prompt import ChatTemplate, PlainText, PromptFitter


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
            revive(self._model.runner)
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
