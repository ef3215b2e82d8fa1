"""/v1/completions: texts, and how they go on. No template."""

from typing import Any

from glasschat.api.completion_request import CompletionRequest
from glasschat.api.format import Header, Shown, fields_of, glass_of, told_steps
from glasschat.api.replies import Choice, Piece
from glasschat.api.responses import Completion, CompletionLogprobs, TextChoice, Usage
from glasschat.api.tokens import completion_logprobs
from glasschat.backends import LocalBackend
from glasschat.engine import Generation
from glasschat.sampling import SamplingParams


class CompletionFormat:
    """Implements Format."""

    id_prefix = "cmpl"
    source = "prompt"

    def __init__(self, request: CompletionRequest) -> None:
        self._prompts = request.prompts
        self._control = request.parse_special is not False
        self._echo = bool(request.echo)
        # Where the text of each choice has come to, in characters.
        self._offsets: dict[int, int] = {}
        self._echoed: dict[int, str] = {}

    @property
    def prompts(self) -> int:
        """See Format.prompts."""
        return len(self._prompts)

    def start(
        self, backend: LocalBackend, prompt: int, params: SamplingParams, *, trace: bool
    ) -> Generation:
        """See Format.start."""
        asked = self._prompts[prompt]
        if isinstance(asked, str):
            ids = backend.vocabulary.encode(asked, control=self._control, opened=True)
        else:
            ids = asked
        generation = backend.complete(ids, params, trace=trace)
        if self._echo:
            self._echoed[prompt] = asked if isinstance(asked, str) else _text(backend, asked)
        return generation

    def opening(self, header: Header, choice: Choice) -> Completion | None:
        """The prompt, for who wants it back."""
        if not self._echo:
            return None
        told = TextChoice(
            index=choice.index,
            text=self._echoed[choice.prompt],
            logprobs=None,
            finish_reason=None,
        )
        return _completion(header, [told])

    def event(
        self, header: Header, choice: Choice, piece: Piece, shown: Shown, usage: Usage | None
    ) -> Completion:
        """See Format.event."""
        told = TextChoice(
            index=choice.index,
            text=piece.text,
            logprobs=None if piece.ended else self._logprobs(choice, piece, shown),
            finish_reason=piece.ended,
            **glass_of(piece, shown),
        )
        return _completion(header, [told], usage)

    def usage_event(self, header: Header, usage: Usage) -> Completion:
        """See Format.usage_event."""
        return _completion(header, [], usage)

    def whole(
        self, header: Header, choices: list[tuple[Choice, Piece]], shown: Shown, usage: Usage
    ) -> Completion:
        """See Format.whole."""
        told = [
            TextChoice(
                index=choice.index,
                text=self._echoed.get(choice.prompt, "") + piece.text,
                logprobs=self._logprobs(choice, piece, shown),
                finish_reason=piece.ended,
                **glass_of(piece, shown),
            )
            for choice, piece in choices
        ]
        return _completion(header, told, usage)

    def _logprobs(self, choice: Choice, piece: Piece, shown: Shown) -> CompletionLogprobs | None:
        if shown.top is None:
            return None
        offset = self._offsets.get(choice.index, 0)
        self._offsets[choice.index] = offset + len(piece.text)
        steps = told_steps(piece, choice)
        return completion_logprobs(steps, shown.top, shown.token_bytes, offset)


def _completion(
    header: Header, choices: list[TextChoice], usage: Usage | None = None
) -> Completion:
    more: dict[str, Any] = {} if usage is None else {"usage": usage}
    return Completion(object="text_completion", choices=choices, **fields_of(header), **more)


def _text(backend: LocalBackend, ids: list[int]) -> str:
    return b"".join(map(backend.vocabulary.token_bytes, ids)).decode(errors="replace")
