"""/v1/completions: the body of a request, and the responses to it. No template is applied."""

from typing import Annotated, Any

from pydantic import Field

from glasschat.api.errors import invalid_request
from glasschat.api.fields import MOST_TOP_LOGPROBS, ReplySettings, check_stream_options
from glasschat.api.format import ResponseInfo, TokenDetails, text_steps, trace_field
from glasschat.api.replies import Choice, Piece
from glasschat.api.responses import Completion, CompletionLogprobs, TextChoice, Usage
from glasschat.api.tokens import completion_logprobs
from glasschat.api.unsupported import CompletionUnsupported
from glasschat.backends import LocalBackend
from glasschat.engine import Generation
from glasschat.sampling import SamplingParams

MOST_PROMPTS = 128

Ids = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
Prompts = Annotated[list[str], Field(min_length=1, max_length=MOST_PROMPTS)]
PromptsOfIds = Annotated[list[Ids], Field(min_length=1, max_length=MOST_PROMPTS)]


class CompletionRequest(ReplySettings, CompletionUnsupported):
    """Body of a request to continue prompts, without any template."""

    prompt: str | Prompts | Ids | PromptsOfIds = Field(
        description="A text, or token ids, or several of either."
    )
    best_of: int | None = Field(None, ge=1, description="The same as n, or left out.")
    echo: bool | None = Field(None, description="Put the prompt in front of the text.")
    logprobs: int | None = Field(
        None,
        ge=0,
        le=MOST_TOP_LOGPROBS,
        description="The raw log-probability of every token, and of so many of the likeliest.",
    )
    parse_special: bool | None = Field(
        None,
        description="Whether pieces such as <|im_end|> in a text are their control tokens (true).",
    )

    def check(self) -> None:
        """Check which fields go together. Raises ApiError (400)."""
        check_stream_options(self)
        if self.best_of is not None and self.best_of != (self.n or 1):
            raise invalid_request(
                "best_of is not supported here but for the same number as n", "best_of"
            )
        if self.echo and self.logprobs is not None:
            raise invalid_request(
                "echo does not go with logprobs: the prompt's own are not computed", "echo"
            )

    @property
    def limit(self) -> int | None:
        """Return the maximum number of tokens of the reply."""
        return self.max_tokens

    @property
    def shown_candidates(self) -> int | None:
        """Return how many of the likeliest tokens to list, None for no log-probabilities."""
        return self.logprobs

    @property
    def prompts(self) -> list[str] | list[list[int]]:
        """Return the prompts as a list, whichever of the four forms the request has."""
        prompt = self.prompt
        if isinstance(prompt, str):
            return [prompt]
        if isinstance(prompt[0], int):
            return [prompt]
        return prompt


class CompletionFormat:
    """Reads a completion request and writes its responses; implements ReplyFormat."""

    id_prefix = "cmpl"
    prompt_field = "prompt"

    def __init__(self, request: CompletionRequest) -> None:
        self._prompts = request.prompts
        self._parse_special = request.parse_special is not False
        self._echo = bool(request.echo)
        # Characters of each choice's text that were sent, and the prompts to send back.
        self._offsets: dict[int, int] = {}
        self._echoed: dict[int, str] = {}

    @property
    def prompt_count(self) -> int:
        """Return the number of prompts in the request."""
        return len(self._prompts)

    def start(
        self, backend: LocalBackend, prompt: int, params: SamplingParams, *, trace: bool
    ) -> Generation:
        """Submit prompt number `prompt` to the backend. Raises GlasschatError, ApiError.

        May take long: call it outside the event loop.
        """
        text_or_ids = self._prompts[prompt]
        if isinstance(text_or_ids, str):
            ids = backend.vocabulary.encode(text_or_ids, control=self._parse_special, opened=True)
        else:
            ids = text_or_ids
        generation = backend.complete(ids, params, trace=trace)
        if self._echo:
            self._echoed[prompt] = (
                text_or_ids if isinstance(text_or_ids, str) else _decode(backend, text_or_ids)
            )
        return generation

    def first_event(self, info: ResponseInfo, choice: Choice) -> Completion | None:
        """Return the event with the prompt where `echo` asks for it, None otherwise."""
        if not self._echo:
            return None
        text = self._echoed[choice.prompt]
        text_choice = TextChoice(index=choice.index, text=text, logprobs=None, finish_reason=None)
        return _completion(info, [text_choice])

    def event(
        self,
        info: ResponseInfo,
        choice: Choice,
        piece: Piece,
        details: TokenDetails,
        usage: Usage | None,
    ) -> Completion:
        """Return the event for new text of a choice, or for its end."""
        text_choice = TextChoice(
            index=choice.index,
            text=piece.text,
            logprobs=None if piece.finish_reason else self._logprobs(choice, piece, details),
            finish_reason=piece.finish_reason,
            **trace_field(piece, details),
        )
        return _completion(info, [text_choice], usage)

    def usage_event(self, info: ResponseInfo, usage: Usage) -> Completion:
        """Return the last event of a stream, which has the usage and no choices."""
        return _completion(info, [], usage)

    def response(
        self,
        info: ResponseInfo,
        choices: list[tuple[Choice, Piece]],
        details: TokenDetails,
        usage: Usage,
    ) -> Completion:
        """Return the response with all choices, for a request without a stream."""
        text_choices = [
            TextChoice(
                index=choice.index,
                text=self._echoed.get(choice.prompt, "") + piece.text,
                logprobs=self._logprobs(choice, piece, details),
                finish_reason=piece.finish_reason,
                **trace_field(piece, details),
            )
            for choice, piece in choices
        ]
        return _completion(info, text_choices, usage)

    def _logprobs(
        self, choice: Choice, piece: Piece, details: TokenDetails
    ) -> CompletionLogprobs | None:
        if details.top_logprobs is None:
            return None
        offset = self._offsets.get(choice.index, 0)
        self._offsets[choice.index] = offset + len(piece.text)
        steps = text_steps(piece, choice)
        return completion_logprobs(steps, details.top_logprobs, details.token_bytes, offset)


def _completion(
    info: ResponseInfo, choices: list[TextChoice], usage: Usage | None = None
) -> Completion:
    more: dict[str, Any] = {} if usage is None else {"usage": usage}
    return Completion(object="text_completion", choices=choices, **info.fields(), **more)


def _decode(backend: LocalBackend, ids: list[int]) -> str:
    return b"".join(map(backend.vocabulary.token_bytes, ids)).decode(errors="replace")
