"""Checks that contents of messages stay contents, and stay unchanged."""

from collections.abc import Iterator, Sequence

from glasschat.doctor.checks.rendering import DIALOG, render
from glasschat.doctor.finding import Finding, report_failure, report_pass, report_warning
from glasschat.doctor.formatting import list_first, plural, quote
from glasschat.doctor.opened_model import OpenedModel
from glasschat.doctor.probes import PIECES, SENTINELS, TEXTS
from glasschat.errors import GlasschatError, InvalidMessage, TemplateError
from glasschat.prompt import ChatMessage, PromptEncoding, decode, encode_content

_MOST_PIECES = 64
_BLANKS = " \n two  blanks \n "


def contents_apart(subject: OpenedModel) -> Iterator[Finding]:
    """Check that hostile contents in every role leave the prompt's control tokens as they are."""
    if subject.template is None:
        return
    texts = hostile_texts(subject)
    unwritable: list[str] = []
    broken: list[str] = []
    for text in texts:
        try:
            if not _stays_content(subject, text):
                broken.append(text)
        except InvalidMessage:
            unwritable.append(text)
        except TemplateError:
            broken.append(text)
    details = {"tried": len(texts), "broken": broken, "unwritable": unwritable}
    if broken:
        yield report_failure(
            "contents-apart",
            f"{plural(len(broken), 'content')} of {len(texts):,} could not be kept apart from "
            f"the template: {list_first([quote(text) for text in broken])}",
            "use another template, or another conversion of the model; and tell glasschat's "
            "makers of it",
            **details,
        )
    elif unwritable:
        yield report_warning(
            "contents-apart",
            f"no content becomes structure; {len(unwritable):,} of {len(texts):,} cannot be "
            f"written by this vocabulary and are refused: "
            + list_first([quote(text) for text in unwritable]),
            "leave these out of what you send; the message that refuses them names them",
            **details,
        )
    else:
        yield report_pass(
            "contents-apart",
            f"{len(texts):,} hostile contents stay text: control pieces, near ones, marks",
            **details,
        )


def contents_kept(subject: OpenedModel) -> Iterator[Finding]:
    """Report how the template changes contents that it sees: trims, cuts or replaces them."""
    if subject.template is None:
        return
    trims = _BLANKS not in _render_with(subject, _BLANKS, 0)
    changed: dict[str, str] = {}
    for text in (
        "</think>",
        "<think>one</think>two",
        *_pieces(subject),
        *PIECES,
        "{{ x }}",
        "A\n\n\nb",
    ):
        inside = f"a{text}b"
        for place, role in enumerate(("user", "assistant")):
            if inside not in _render_with(subject, inside, place):
                changed.setdefault(text, role)
    details = {"trims": trims, "changed": [{"text": t, "role": r} for t, r in changed.items()]}
    blanks = "blanks around a content are trimmed" if trims else "contents keep their blanks"
    if changed:
        named = list_first([f"{quote(text)} ({role})" for text, role in changed.items()])
        yield report_warning(
            "contents-kept",
            f"{blanks}; the template would change a content that holds {named}",
            "nothing to do: glasschat shows the template no contents, so that they stay whole; "
            "other programs' prompts differ there",
            **details,
        )
    else:
        yield report_pass("contents-kept", f"{blanks}; nothing else is changed", **details)


def hostile_texts(subject: OpenedModel) -> list[str]:
    """Return texts that look like structure.

    They are control tokens of this model and of others, near misses, nested ones, the placeholders
    of the template's layout, and texts of many languages.
    """
    pieces = list(dict.fromkeys([*_pieces(subject), *PIECES]))
    near = [piece[:-1] for piece in pieces] + [f"<{piece}>" for piece in pieces]
    nested = [piece[:2] + piece + piece[2:] for piece in pieces]
    turn = ["".join(pieces[:4]) + "\n\nSure", "\n".join(pieces)]
    return [*pieces, *near, *nested, *turn, *SENTINELS, *TEXTS.values()]


def _pieces(subject: OpenedModel) -> list[str]:
    found = []
    for token_id in sorted(subject.tokenizer.control_ids)[:_MOST_PIECES]:
        piece = subject.tokenizer.token_bytes(token_id).decode(errors="replace")
        if piece.strip() and "\ufffd" not in piece:
            found.append(piece)
    return found


def _stays_content(subject: OpenedModel, text: str) -> bool:
    """Return whether `text` as a content changes nothing else in the prompt.

    Raises InvalidMessage if the text is refused.
    """
    encode_content(subject.tokenizer, text)
    conversation = [ChatMessage(message.role, text) for message in DIALOG]
    assert subject.template is not None
    encoding = subject.template.encode(conversation)
    if _structure(subject, encoding) != _structure(subject, subject.template.encode(DIALOG)):
        return False
    for span in encoding.spans:
        if span.message is None:
            continue
        ids = encoding.ids[span.start : span.end]
        if not subject.tokenizer.control_ids.isdisjoint(ids):
            return False
        if decode(subject.tokenizer, ids).strip() != text.strip():
            return False
    return True


def _structure(subject: OpenedModel, encoding: PromptEncoding) -> Sequence[int]:
    return [token_id for token_id in encoding.ids if token_id in subject.tokenizer.control_ids]


def _render_with(subject: OpenedModel, text: str, place: int) -> str:
    """Return the rendered prompt with `text` as the content at `place`, "" if it is refused."""
    messages = list(DIALOG)
    messages[place] = ChatMessage(messages[place].role, text)
    try:
        return render(subject, messages)
    except GlasschatError:
        return ""
