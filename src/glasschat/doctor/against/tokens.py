"""Whether two models are of one design and read the same ids."""

import re
from collections.abc import Callable, Iterator, Sequence

from glasschat.doctor.against.pair import Pair, differ
from glasschat.doctor.case import Case
from glasschat.doctor.checks.content import hostile_texts
from glasschat.doctor.checks.rendering import DIALOG
from glasschat.doctor.finding import Finding, failed, passed, warned
from glasschat.doctor.probes import TEXTS
from glasschat.doctor.words import number, plural, quoted, some
from glasschat.errors import GlasschatError
from glasschat.prompt import ChatMessage, encode_content, user

_CONVERT = "convert the model anew with a current converter, from this very original"
# Half-precision metadata and decimal JSON of the same figure differ by less.
_SAME_FIGURE = 1e-4
_MOST_LISTED = 10
_PADDING = re.compile(rb"(\[PAD\d+\])?|<\|?(reserved|unused|extra|dummy)[^<>]*>")

_DIALOGS: dict[str, tuple[ChatMessage, ...]] = {
    "one question": (user("What is 2 + 2?"),),
    "three turns": DIALOG,
    "with a system prompt": (ChatMessage("system", "Be brief."), user("Hi, how are you?")),
    "Chinese": (user("你好！请介绍一下你自己。"),),
    "blanks around": (user("  \n Hello \n\n"),),
    "code": (user(TEXTS["Python"]), ChatMessage("assistant", TEXTS["C"]), user(TEXTS["JSON"])),
}


def same_shape(pair: Pair) -> Iterator[Finding]:
    """The figures of the architecture, where both name them."""
    ours, theirs = pair.model.facts, pair.reference.facts
    a = {**ours.shape, "max_position_embeddings": ours.context}
    b = {**theirs.shape, "max_position_embeddings": theirs.context}
    common = [name for name in a if name in b and a[name] and b[name]]
    different = [name for name in common if abs(a[name] - b[name]) > _SAME_FIGURE * abs(b[name])]
    said = [f"{name} {number(a[name])} and {number(b[name])}" for name in different]
    if bool(ours.rope.scaling) != bool(theirs.rope.scaling):
        different.append("rope_scaling")
        said.append(
            f"positions {ours.rope.scaling or 'not scaled'} and "
            f"{theirs.rope.scaling or 'not scaled'}"
        )
    details = {"compared": common, "different": different}
    if different:
        yield failed(
            "same-shape",
            f"{' and '.join(pair.names)} differ: {some(said, 5)}",
            f"they are not the same model, or the conversion went wrong: {_CONVERT}",
            **details,
        )
    else:
        yield passed("same-shape", f"{plural(len(common), 'figure')} agree", **details)


def same_vocabulary(pair: Pair) -> Iterator[Finding]:
    """Every id against the bytes that it stands for."""
    ours, theirs = pair.model.tokenizer, pair.reference.tokenizer
    common = pair.common_vocabulary
    pieces = ((i, ours.token_bytes(i), theirs.token_bytes(i)) for i in range(common))
    # Rows that round an embedding up have no token in a folder, and are called so in a GGUF.
    different = [i for i, a, b in pieces if a != b and not _is_padding(a, b)]
    control = ours.control_ids | theirs.control_ids
    words = [i for i in different if i not in control]
    extra = abs(ours.vocab_size - theirs.vocab_size)
    more = f", {plural(extra, 'id')} more in one of them" if extra else ""
    listed = [
        f"{i} is {pair.model.piece(i)} and {pair.reference.piece(i)}"
        for i in (words or different)[:_MOST_LISTED]
    ]
    details = {
        "common": common,
        "sizes": [ours.vocab_size, theirs.vocab_size],
        "different": len(different),
        "examples": listed,
    }
    if words:
        yield failed(
            "same-vocabulary",
            f"{differ(len(different), common, 'token')} differ: {some(listed)}",
            f"they are of different models: {_CONVERT}",
            **details,
        )
    elif different:
        yield warned(
            "same-vocabulary",
            f"{plural(len(different), 'control token')} are spelled otherwise: {some(listed)}",
            "see that each model's own template writes the spelling that its tokenizer has",
            **details,
        )
    else:
        yield passed("same-vocabulary", f"{common:,} ids with the same bytes{more}", **details)


def same_ends(pair: Pair) -> Iterator[Finding]:
    """The tokens that end a reply, as far as either names them."""
    cases = (pair.model, pair.reference)
    found = [case.tokenizer.end_ids for case in cases]
    named = [{claim.token_id for claim in case.ends} for case in cases]
    missing = sorted(named[0] - found[1] | named[1] - found[0])
    details = {"model": sorted(found[0]), "reference": sorted(found[1])}
    if missing:
        yield warned(
            "same-ends",
            f"{some([pair.model.token(i) for i in missing])} ends a reply in one of them only",
            "go by the publisher's generation_config.json; the other's replies run on, or break "
            "off, there",
            **details,
        )
    else:
        yield passed("same-ends", "what either names as an end is one in both", **details)


def same_text_ids(pair: Pair) -> Iterator[Finding]:
    """The ids of plain texts in many languages, and of texts that look like structure."""
    texts = dict(TEXTS)
    texts |= {quoted(text): text for case in _cases(pair) for text in hostile_texts(case)}
    different = _different(pair, {name: _content(text) for name, text in texts.items()})
    details = {"tried": len(texts), "different": different[:50]}
    if different:
        yield failed(
            "same-text-ids",
            f"{differ(len(different), len(texts), 'text')} become other ids: {some(different)}",
            f"text is cut in another way than the model was taught: {_CONVERT}",
            **details,
        )
    else:
        yield passed(
            "same-text-ids",
            f"{plural(len(texts), 'text')} become the same ids: languages, code, blanks, numbers, "
            f"control pieces as contents",
            **details,
        )


def same_prompt_ids(pair: Pair) -> Iterator[Finding]:
    """The ids of whole prompts, each by its model's own template."""
    if pair.model.template is None and pair.reference.template is None:
        return
    if pair.model.template is None or pair.reference.template is None:
        yield warned(
            "same-prompt-ids",
            "only one of them has a chat template",
            "give the other the same template",
        )
        return
    different = _different(pair, {name: _prompt(dialog) for name, dialog in _DIALOGS.items()})
    details = {"tried": len(_DIALOGS), "different": different}
    if different:
        yield warned(
            "same-prompt-ids",
            f"{differ(len(different), len(_DIALOGS), 'prompt')} become other ids: "
            f"{some(different)}: their templates differ",
            "go by the publisher's template, unless the other mends a mistake in it",
            **details,
        )
    else:
        yield passed(
            "same-prompt-ids", f"{plural(len(_DIALOGS), 'prompt')} become the same ids", **details
        )


def _is_padding(a: bytes, b: bytes) -> bool:
    return not (a and b) and _PADDING.fullmatch(a or b) is not None


Encode = Callable[[Case], Sequence[int]]


def _different(pair: Pair, encoders: dict[str, Encode]) -> list[str]:
    """The names of what the two do not encode to the same ids, a refusal being one of them."""
    return [
        name or "nothing at all"
        for name, encode in encoders.items()
        if _ids(encode, pair.model) != _ids(encode, pair.reference)
    ]


def _ids(encode: Encode, case: Case) -> list[int] | None:
    try:
        return [*encode(case)]
    except GlasschatError:
        return None


def _content(text: str) -> Encode:
    return lambda case: encode_content(case.tokenizer, text)


def _prompt(dialog: Sequence[ChatMessage]) -> Encode:
    def encode(case: Case) -> Sequence[int]:
        assert case.template is not None
        return case.template.encode(dialog).ids

    return encode


def _cases(pair: Pair) -> tuple[Case, Case]:
    return pair.model, pair.reference
