"""Renders the chat template with the contents in it, as other programs do."""

from collections.abc import Sequence
from functools import lru_cache

from glasschat.doctor.opened_model import OpenedModel
from glasschat.prompt import ChatMessage
from glasschat.prompt.render import Renderer

DIALOG = (
    ChatMessage("user", "Hello"),
    ChatMessage("assistant", "Good day"),
    ChatMessage("user", "Thanks"),
)


def render(subject: OpenedModel, messages: Sequence[ChatMessage], open_reply: bool = True) -> str:
    """Return the rendered template as text, with nothing escaped. Raises TemplateError."""
    assert subject.template is not None
    return _renderer(subject.template.source).render(
        [{"role": message.role, "content": message.text} for message in messages],
        open_reply=open_reply,
        bos_token=token_text(subject, subject.tokenizer.bos_id),
        eos_token=token_text(subject, subject.tokenizer.eos_id),
    )


def token_text(subject: OpenedModel, token_id: int | None) -> str:
    """Return a token as the template writes it, "" if the model does not have it."""
    if token_id is None:
        return ""
    return subject.tokenizer.token_bytes(token_id).decode(errors="replace")


@lru_cache(maxsize=2)
def _renderer(source: str) -> Renderer:
    return Renderer(source)
