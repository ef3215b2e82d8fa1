"""Checks that two models have one architecture and encode text to the same ids."""

import re
from collections.abc import Callable, Iterator, Sequence

from glasschat.doctor.checks.content import hostile_texts
from glasschat.doctor.checks.rendering import DIALOG
from glasschat.doctor.comparison.pair import ModelPair, count_of
from glasschat.doctor.finding import Finding, report_failure, report_pass, report_warning
from glasschat.doctor.formatting import format_number, list_first, plural, quote
from glasschat.doctor.opened_model import OpenedModel
from glasschat.doctor.probes import TEXTS
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


def same_shape(pair: ModelPair) -> Iterator[Finding]:
    """Compare the figures of the architecture that both name."""
    ours, theirs = pair.model.metadata, pair.reference.metadata
    a = {**ours.shape, "max_position_embeddings": ours.context}
    b = {**theirs.shape, "max_position_embeddings": theirs.context}
    common = [name for name in a if name in b and a[name] and b[name]]
    different = [name for name in common if abs(a[name] - b[name]) > _SAME_FIGURE * abs(b[name])]
    lines = [f"{name} {format_number(a[name])} and {format_number(b[name])}" for name in different]
    if bool(ours.rope.scaling) != bool(theirs.rope.scaling):
        different.append("rope_scaling")
        lines.append(
            f"positions {ours.rope.scaling or 'not scaled'} and "
            f"{theirs.rope.scaling or 'not scaled'}"
        )
    details = {"compared": common, "different": different}
    if different:
        yield report_failure(
            "same-shape",
            f"{' and '.join(pair.names)} differ: {list_first(lines, 5)}",
            f"they are not the same model, or the conversion went wrong: {_CONVERT}",
            **details,
        )
    else:
        yield report_pass("same-shape", f"{plural(len(common), 'figure')} agree", **details)


def same_vocabulary(pair: ModelPair) -> Iterator[Finding]:
    """Compare the bytes of every id."""
    ours, theirs = pair.model.tokenizer, pair.reference.tokenizer
    common = pair.common_vocab_size
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
        yield report_failure(
            "same-vocabulary",
            f"{count_of(len(different), common, 'token')} differ: {list_first(listed)}",
            f"they are of different models: {_CONVERT}",
            **details,
        )
    elif different:
        yield report_warning(
            "same-vocabulary",
            f"{plural(len(different), 'control token')} are spelled otherwise: "
            f"{list_first(listed)}",
            "see that each model's own template writes the spelling that its tokenizer has",
            **details,
        )
    else:
        yield report_pass("same-vocabulary", f"{common:,} ids with the same bytes{more}", **details)


def same_ends(pair: ModelPair) -> Iterator[Finding]:
    """Compare the tokens that end a reply, as far as either model names them."""
    cases = (pair.model, pair.reference)
    found = [subject.tokenizer.end_ids for subject in cases]
    named = [{claim.token_id for claim in subject.end_claims} for subject in cases]
    missing = sorted(named[0] - found[1] | named[1] - found[0])
    details = {"model": sorted(found[0]), "reference": sorted(found[1])}
    if missing:
        yield report_warning(
            "same-ends",
            f"{list_first([pair.model.token(i) for i in missing])} ends a reply in one of them "
            "only",
            "go by the publisher's generation_config.json; the other's replies run on, or break "
            "off, there",
            **details,
        )
    else:
        yield report_pass("same-ends", "what either names as an end is one in both", **details)


def same_text_ids(pair: ModelPair) -> Iterator[Finding]:
    """Compare the ids of texts in many languages, and of texts that look like structure."""
    texts = dict(TEXTS)
    texts |= {quote(text): text for subject in _cases(pair) for text in hostile_texts(subject)}
    different = _different(pair, {name: _content(text) for name, text in texts.items()})
    details = {"tried": len(texts), "different": different[:50]}
    if different:
        yield report_failure(
            "same-text-ids",
            f"{count_of(len(different), len(texts), 'text')} become other ids: "
            f"{list_first(different)}",
            f"text is cut in another way than the model was taught: {_CONVERT}",
            **details,
        )
    else:
        yield report_pass(
            "same-text-ids",
            f"{plural(len(texts), 'text')} become the same ids: languages, code, blanks, numbers, "
            f"control pieces as contents",
            **details,
        )


def same_prompt_ids(pair: ModelPair) -> Iterator[Finding]:
    """Compare the ids of whole prompts, each by its model's own template."""
    if pair.model.template is None and pair.reference.template is None:
        return
    if pair.model.template is None or pair.reference.template is None:
        yield report_warning(
            "same-prompt-ids",
            "only one of them has a chat template",
            "give the other the same template",
        )
        return
    different = _different(pair, {name: _prompt(dialog) for name, dialog in _DIALOGS.items()})
    details = {"tried": len(_DIALOGS), "different": different}
    if different:
        yield report_warning(
            "same-prompt-ids",
            f"{count_of(len(different), len(_DIALOGS), 'prompt')} become other ids: "
            f"{list_first(different)}: their templates differ",
            "go by the publisher's template, unless the other mends a mistake in it",
            **details,
        )
    else:
        yield report_pass(
            "same-prompt-ids", f"{plural(len(_DIALOGS), 'prompt')} become the same ids", **details
        )


def _is_padding(a: bytes, b: bytes) -> bool:
    return not (a and b) and _PADDING.fullmatch(a or b) is not None


Encode = Callable[[OpenedModel], Sequence[int]]


def _different(pair: ModelPair, encoders: dict[str, Encode]) -> list[str]:
    """Return the names of texts that the two encode differently; a refusal counts as a result."""
    return [
        name or "nothing at all"
        for name, encode in encoders.items()
        if _ids(encode, pair.model) != _ids(encode, pair.reference)
    ]


def _ids(encode: Encode, subject: OpenedModel) -> list[int] | None:
    try:
        return [*encode(subject)]
    except GlasschatError:
        return None


def _content(text: str) -> Encode:
    return lambda subject: encode_content(subject.tokenizer, text)


def _prompt(dialog: Sequence[ChatMessage]) -> Encode:
    def encode(subject: OpenedModel) -> Sequence[int]:
        assert subject.template is not None
        return subject.template.encode(dialog).ids

    return encode


def _cases(pair: ModelPair) -> tuple[OpenedModel, OpenedModel]:
    return pair.model, pair.reference
