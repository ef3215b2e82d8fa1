"""The body of /v1/completions."""

from typing import Annotated

from pydantic import Field

from glasschat.api.chat_request import check_stream
from glasschat.api.errors import invalid
from glasschat.api.fields import MOST_TOP_LOGPROBS, ReplySettings
from glasschat.api.unsupported import CompletionUnsupported

MOST_PROMPTS = 128

Ids = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
Prompts = Annotated[list[str], Field(min_length=1, max_length=MOST_PROMPTS)]
PromptsOfIds = Annotated[list[Ids], Field(min_length=1, max_length=MOST_PROMPTS)]


class CompletionRequest(ReplySettings, CompletionUnsupported):
    """Texts that want to be gone on with, without any template."""

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
        """What goes together and what does not. Raises ApiError."""
        check_stream(self)
        if self.best_of is not None and self.best_of != (self.n or 1):
            raise invalid("best_of is not supported here but for the same number as n", "best_of")
        if self.echo and self.logprobs is not None:
            raise invalid(
                "echo does not go with logprobs: the prompt's own are not computed", "echo"
            )

    @property
    def limit(self) -> int | None:
        """The most tokens of the reply."""
        return self.max_tokens

    @property
    def shown_candidates(self) -> int | None:
        """How many of the likeliest tokens are told of; None for no log-probabilities at all."""
        return self.logprobs

    @property
    def prompts(self) -> list[str] | list[list[int]]:
        """One or more prompts, whichever way they were written."""
        prompt = self.prompt
        if isinstance(prompt, str):
            return [prompt]
        if isinstance(prompt[0], int):
            return [prompt]
        return prompt
