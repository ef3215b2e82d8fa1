"""Encoding of messages by the model's own chat template."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from glasschat.errors import InvalidMessage, TemplateError
from glasschat.models.base import Tokenizer
from glasschat.prompt.content import ContentEncoder
from glasschat.prompt.encoding import Origin, PromptEncoding, Span
from glasschat.prompt.messages import ChatMessage, Role, conversation
from glasschat.prompt.placeholders import RenderedLayout, locate_contents
from glasschat.prompt.render import Renderer, TemplateRefusal

_CACHED = 1024
_Part = tuple[Origin, int | None, list[int]]


class ChatTemplate:
    """A model's chat template, and the only place where control tokens enter a prompt.

    `source` is Jinja text; without it the model's own is used, and TemplateError raised when it has
    none: a format is never guessed. Safe to use from any thread. `Renderer` has the limits of time
    and memory.

    A content is opaque to the template: it may place and trim it, and nothing else that it does to
    it (asking what is in it, cutting or replacing) has an effect.
    """

    def __init__(self, tokenizer: Tokenizer, source: str | None = None) -> None:
        found = tokenizer.template_source if source is None else source
        if not found:
            raise TemplateError(
                "the model carries no chat template, so it is a base model, or its template was "
                "lost: use an instruct or chat version of it, or let it continue plain text "
                "with --raw"
            )
        self.source: str = found
        self._tokenizer = tokenizer
        self._contents = ContentEncoder(tokenizer)
        self._renderer = Renderer(found)
        self._bos_text = _piece(tokenizer, tokenizer.bos_id)
        self._eos_text = _piece(tokenizer, tokenizer.eos_id)
        self._control_ids = tokenizer.control_ids
        self._encoded: dict[str, tuple[int, ...]] = {}

    def encode(self, messages: Sequence[ChatMessage], open_reply: bool = True) -> PromptEncoding:
        """Return the prompt for `messages`; with `open_reply`, up to where the assistant speaks.

        Begin-of-text comes first, once, if the template writes it or the model asks for it. A turn
        with ids goes back as exactly those. The text of every other turn holds no control id,
        whatever it says. Raises TemplateError, or InvalidMessage with the template's own words when
        it refuses the messages.
        """
        turns = conversation(messages)
        self._check_ids(turns)
        try:
            layout = self._locate_contents(turns, open_reply)
        except TemplateRefusal as refusal:
            if turns[0].role == "system" and self._takes_messages(turns[1:], open_reply):
                raise InvalidMessage(
                    "the model's chat template takes no system prompt (it says: {words}): clear "
                    "it, or put it in front of the first message",
                    words=refusal.words,
                ) from None
            raise
        ids: list[int] = []
        spans: list[Span] = []
        for origin, message, part in self._parts(turns, layout):
            if not part:
                continue
            start = len(ids)
            ids += part
            if spans and spans[-1].message is None and message is None:
                start = spans.pop().start
            spans.append(Span(start, len(ids), origin, message))
        return PromptEncoding(tuple(ids), tuple(spans))

    def prompt_for(self, messages: Sequence[ChatMessage]) -> PromptEncoding:
        """Return the prompt that answers `messages`, or continues the reply that ends them.

        The reply goes on behind the very prompt that it was begun on: the turns before it, up to
        where the assistant speaks, and then its ids, or its text encoded as any content. How the
        template would write it as a finished turn has no effect, but for a space before its text.
        Raises as `encode` does.
        """
        turns = conversation(messages)
        last = turns[-1]
        if last.role != "assistant":
            return self.encode(turns)
        self._check_ids(turns)
        ids = self._reply_ids(last.text) if last.ids is None else last.ids
        return self.encode(turns[:-1]).with_open_reply(len(turns) - 1, ids, last.text)

    def content_tokens(self, message: ChatMessage) -> int:
        """Return how many ids a message's content has in a longer prompt, if nothing is trimmed.

        A space that is written before it counts. Raises InvalidMessage.
        """
        content, space = self._encode_turn(
            self._texts_before.get(message.role, ""), message, message.text
        )
        return len(content) + len(space or ())

    @cached_property
    def _texts_before(self) -> Mapping[Role, str]:
        """Return what the template writes before a turn of each role that is not the first."""
        turns = [ChatMessage(role, "x") for role in ("user", "assistant", "user")]
        try:
            layout = self._locate_contents(turns, True)
        except (TemplateError, InvalidMessage):
            return {}
        return {turns[i].role: layout.texts[place] for place, i in enumerate(layout.order)}

    def _reply_ids(self, text: str) -> list[int]:
        """Return the ids of a reply's text, as they follow where a reply begins."""
        before = "" if text.startswith(" ") else self._text_before_reply
        content, space = self._encode_turn(before, ChatMessage("assistant", text), text)
        return [*(space or []), *content]

    @cached_property
    def _text_before_reply(self) -> str:
        """Return the text before a finished reply if it is the open one's and a space, or ""."""
        question, answer = ChatMessage("user", "x"), ChatMessage("assistant", "x")
        try:
            opened = self._locate_contents((question,), True).texts[-1]
            before = self._locate_contents((question, answer), False).texts[1]
        except (TemplateError, InvalidMessage):
            return ""
        return before if before == opened + " " else ""

    def _check_ids(self, turns: Sequence[ChatMessage]) -> None:
        """Raise InvalidMessage for a turn with ids of another model."""
        size = self._tokenizer.vocab_size
        for index, turn in enumerate(turns):
            foreign = [i for i in turn.ids or () if not 0 <= i < size]
            if foreign:
                raise InvalidMessage(
                    "message {index} holds token {token}, and this model has {size:,} tokens: "
                    "the reply is another model's, so give its text without ids",
                    index=index,
                    token=foreign[0],
                    size=size,
                )

    def _locate_contents(self, turns: Sequence[ChatMessage], open_reply: bool) -> RenderedLayout:
        """Render the turns with placeholders, and find their places."""

        def render(contents: list[str]) -> str:
            return self._renderer.render(
                [
                    {"role": turn.role, "content": content}
                    for turn, content in zip(turns, contents, strict=True)
                ],
                open_reply=open_reply,
                bos_token=self._bos_text,
                eos_token=self._eos_text,
                extra=sum(map(len, contents)),
            )

        return locate_contents(render, turns, self.source + self._bos_text + self._eos_text)

    def _takes_messages(self, turns: Sequence[ChatMessage], open_reply: bool) -> bool:
        """Return whether the template accepts these turns."""
        try:
            self._locate_contents(conversation(turns), open_reply)
        except (TemplateError, InvalidMessage):
            return False
        return True

    def _parts(self, turns: Sequence[ChatMessage], layout: RenderedLayout) -> Iterator[_Part]:
        """Yield the prompt's ids in order, template and content in turn."""
        for place, text in enumerate(layout.texts):
            encode = self._encode_control if place else self._encode_first_text
            if place == len(layout.order):
                yield "template", None, encode(text)
                return
            index = layout.order[place]
            turn = turns[index]
            content, space = self._encode_turn(text, turn, layout.shown[index])
            yield "template", None, encode(text) if space is None else encode(text[:-1]) + space
            yield turn.role, index, content

    def _encode_turn(
        self, before: str, turn: ChatMessage, shown: str
    ) -> tuple[list[int], list[int] | None]:
        """Return the ids of a content, and of the space that `before` ends with: None without one.

        Vocabularies hold words with their leading space, so in "[INST] Hello" the space is part of
        " Hello" for every model that was trained on it, and has no ids of its own.
        """
        spaced = before.endswith(" ") and self._control_ids.isdisjoint(
            self._encode_control(before)[-1:]
        )
        if turn.ids is not None:
            # A reply began where the open prompt ended, before any such space.
            if not spaced:
                return [*turn.ids], None
            return [*turn.ids], [] if self._begins_blank(turn.ids) else self._contents.encode(" ")
        if not spaced:
            return self._contents.encode(shown), None
        ids = self._contents.encode(" " + shown)
        apart = self._tokenizer.token_bytes(ids[0]) == b" "
        return (ids[1:], ids[:1]) if apart else (ids, [])

    def _begins_blank(self, ids: Sequence[int]) -> bool:
        """Return whether the first of `ids` begins with a space."""
        # Ids of another model are refused when a prompt is made of them, and may be counted before.
        known = bool(ids) and 0 <= ids[0] < self._tokenizer.vocab_size
        return known and self._tokenizer.token_bytes(ids[0]).startswith(b" ")

    def _encode_first_text(self, text: str) -> list[int]:
        """Return the ids of the template's first text, with begin-of-text in front once if due."""
        bos = self._tokenizer.bos_id
        ids = self._encode_control(text)
        if bos is None:
            return ids
        while ids[:2] == [bos, bos]:
            ids = ids[1:]
        if bos in ids or not self._tokenizer.adds_bos:
            return ids
        # Encoded as if the template had written it: some vocabularies put a space after it.
        written = self._encode_control(self._bos_text + text)
        return written if written[:1] == [bos] and written.count(bos) == 1 else [bos, *ids]

    def _encode_control(self, text: str) -> list[int]:
        """Return the ids of text that the template wrote."""
        ids = self._encoded.get(text)
        if ids is None:
            ids = tuple(self._tokenizer.encode(text, control=True))
            if len(self._encoded) < _CACHED and len(text) < _CACHED:
                self._encoded[text] = ids
        return [*ids]


def _piece(tokenizer: Tokenizer, token_id: int | None) -> str:
    """Return how a template writes a token; empty for a token that the model does not have."""
    return "" if token_id is None else tokenizer.token_bytes(token_id).decode(errors="replace")
