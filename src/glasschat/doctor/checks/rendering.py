"""The template's own text, with contents given to it as they are."""

from collections.abc import Sequence
from functools import lru_cache

from glasschat.doctor.case import Case
from glasschat.prompt import ChatMessage
from glasschat.prompt.render import Renderer

DIALOG = (
    ChatMessage("user", "Hello"),
    ChatMessage("assistant", "Good day"),
    ChatMessage("user", "Thanks"),
)


def rendered(case: Case, messages: Sequence[ChatMessage], open_reply: bool = True) -> str:
    """What a program gets that renders the template and asks no more. Raises TemplateError."""
    assert case.template is not None
    return _renderer(case.template.source).render(
        [{"role": message.role, "content": message.text} for message in messages],
        open_reply=open_reply,
        bos_token=written(case, case.tokenizer.bos_id),
        eos_token=written(case, case.tokenizer.eos_id),
    )


def written(case: Case, token_id: int | None) -> str:
    """How a template writes a token; empty for one that the model does not have."""
    if token_id is None:
        return ""
    return case.tokenizer.token_bytes(token_id).decode(errors="replace")


@lru_cache(maxsize=2)
def _renderer(source: str) -> Renderer:
    return Renderer(source)
