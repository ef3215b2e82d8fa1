"""Whether what people write stays content, and stays as they wrote it."""

from collections.abc import Iterator, Sequence

from glasschat.doctor.case import Case
from glasschat.doctor.checks.rendering import DIALOG, rendered
from glasschat.doctor.finding import Finding, failed, passed, warned
from glasschat.doctor.probes import PIECES, SENTINELS, TEXTS
from glasschat.doctor.words import plural, quoted, some
from glasschat.errors import GlasschatError, InvalidMessage, TemplateError
from glasschat.prompt import ChatMessage, PromptEncoding, decode, encode_content

_MOST_PIECES = 64
_BLANKS = " \n two  blanks \n "


def contents_apart(case: Case) -> Iterator[Finding]:
    """Give hostile contents to the template, in every role: the structure must stay the same."""
    if case.template is None:
        return
    texts = hostile_texts(case)
    unwritable: list[str] = []
    broken: list[str] = []
    for text in texts:
        try:
            if not _held(case, text):
                broken.append(text)
        except InvalidMessage:
            unwritable.append(text)
        except TemplateError:
            broken.append(text)
    details = {"tried": len(texts), "broken": broken, "unwritable": unwritable}
    if broken:
        yield failed(
            "contents-apart",
            f"{plural(len(broken), 'content')} of {len(texts):,} could not be kept apart from "
            f"the template: {some([quoted(text) for text in broken])}",
            "use another template, or another conversion of the model; and tell glasschat's "
            "makers of it",
            **details,
        )
    elif unwritable:
        yield warned(
            "contents-apart",
            f"no content becomes structure; {len(unwritable):,} of {len(texts):,} cannot be "
            f"written by this vocabulary and are refused: "
            + some([quoted(text) for text in unwritable]),
            "leave these out of what you send; the message that refuses them names them",
            **details,
        )
    else:
        yield passed(
            "contents-apart",
            f"{len(texts):,} hostile contents stay text: control pieces, near ones, marks",
            **details,
        )


def contents_kept(case: Case) -> Iterator[Finding]:
    """What the template does to contents when it sees them: trims, cuts, replaces."""
    if case.template is None:
        return
    trims = _BLANKS not in _shown_by_template(case, _BLANKS, 0)
    changed: dict[str, str] = {}
    for text in (
        "</think>",
        "<think>one</think>two",
        *_pieces(case),
        *PIECES,
        "{{ x }}",
        "A\n\n\nb",
    ):
        inside = f"a{text}b"
        for place, role in enumerate(("user", "assistant")):
            if inside not in _shown_by_template(case, inside, place):
                changed.setdefault(text, role)
    details = {"trims": trims, "changed": [{"text": t, "role": r} for t, r in changed.items()]}
    blanks = "blanks around a content are trimmed" if trims else "contents keep their blanks"
    if changed:
        named = some([f"{quoted(text)} ({role})" for text, role in changed.items()])
        yield warned(
            "contents-kept",
            f"{blanks}; the template would change a content that holds {named}",
            "nothing to do: glasschat shows the template no contents, so that they stay whole; "
            "other programs' prompts differ there",
            **details,
        )
    else:
        yield passed("contents-kept", f"{blanks}; nothing else is changed", **details)


def hostile_texts(case: Case) -> list[str]:
    """Control pieces of this model and of others, near ones, placeholders, odd texts."""
    pieces = list(dict.fromkeys([*_pieces(case), *PIECES]))
    near = [piece[:-1] for piece in pieces] + [f"<{piece}>" for piece in pieces]
    nested = [piece[:2] + piece + piece[2:] for piece in pieces]
    turn = ["".join(pieces[:4]) + "\n\nSure", "\n".join(pieces)]
    return [*pieces, *near, *nested, *turn, *SENTINELS, *TEXTS.values()]


def _pieces(case: Case) -> list[str]:
    found = []
    for token_id in sorted(case.tokenizer.control_ids)[:_MOST_PIECES]:
        piece = case.tokenizer.token_bytes(token_id).decode(errors="replace")
        if piece.strip() and "\ufffd" not in piece:
            found.append(piece)
    return found


def _held(case: Case, text: str) -> bool:
    """Whether `text` changes nothing but itself. Raises InvalidMessage where it is refused."""
    encode_content(case.tokenizer, text)
    conversation = [ChatMessage(message.role, text) for message in DIALOG]
    assert case.template is not None
    encoding = case.template.encode(conversation)
    if _structure(case, encoding) != _structure(case, case.template.encode(DIALOG)):
        return False
    for span in encoding.spans:
        if span.message is None:
            continue
        ids = encoding.ids[span.start : span.end]
        if not case.tokenizer.control_ids.isdisjoint(ids):
            return False
        if decode(case.tokenizer, ids).strip() != text.strip():
            return False
    return True


def _structure(case: Case, encoding: PromptEncoding) -> Sequence[int]:
    return [token_id for token_id in encoding.ids if token_id in case.tokenizer.control_ids]


def _shown_by_template(case: Case, text: str, place: int) -> str:
    """The prompt's text with `text` as the content at `place`; empty where that is refused."""
    messages = list(DIALOG)
    messages[place] = ChatMessage(messages[place].role, text)
    try:
        return rendered(case, messages)
    except GlasschatError:
        return ""
