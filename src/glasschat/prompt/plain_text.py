"""Encoding of messages without any template: for base models, which continue a text."""

from collections.abc import Sequence
from dataclasses import replace

from glasschat.models.base import Tokenizer
from glasschat.prompt.content import ContentEncoder
from glasschat.prompt.encoding import OpenReply, PromptEncoding, Span
from glasschat.prompt.messages import ChatMessage, conversation


class PlainText:
    """Joins the contents of all messages as they are, one behind the other.

    Begin-of-text comes first, once, if the model asks for it. Contents hold no control id, whatever
    they say. Safe to use from any thread.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._contents = ContentEncoder(tokenizer)

    def encode(self, messages: Sequence[ChatMessage], open_reply: bool = True) -> PromptEncoding:
        """Return the prompt for `messages`. There is no header for a reply: the text continues.

        A turn with ids goes back as exactly those. Raises InvalidMessage.
        """
        ids: list[int] = []
        spans: list[Span] = []
        if self._tokenizer.adds_bos and self._tokenizer.bos_id is not None:
            ids.append(self._tokenizer.bos_id)
            spans.append(Span(0, 1, "template", None))
        for index, message in enumerate(conversation(messages)):
            part = message.ids
            if part is None:
                part = tuple(self._contents.encode(message.text))
            if part:
                spans.append(Span(len(ids), len(ids) + len(part), message.role, index))
                ids += part
        return PromptEncoding(tuple(ids), tuple(spans))

    def prompt_for(self, messages: Sequence[ChatMessage]) -> PromptEncoding:
        """Return the prompt for what comes after `messages`; a last assistant turn is continued.

        Raises InvalidMessage.
        """
        encoding = self.encode(messages)
        last = messages[-1]
        tokens = sum(s.end - s.start for s in encoding.spans if s.message == len(messages) - 1)
        if last.role != "assistant" or not tokens:
            return encoding
        return replace(encoding, open_reply=OpenReply(tokens, last.text))

    def content_tokens(self, message: ChatMessage) -> int:
        """Return how many ids a message has. Raises InvalidMessage."""
        return self._contents.count(message.text) if message.ids is None else len(message.ids)
