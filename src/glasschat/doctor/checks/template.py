"""Checks of the chat template."""

from collections.abc import Iterator

from glasschat.doctor.checks.rendering import DIALOG
from glasschat.doctor.finding import Finding, report_failure, report_pass, report_warning
from glasschat.doctor.formatting import quote
from glasschat.doctor.opened_model import OpenedModel
from glasschat.errors import InvalidMessage, TemplateError
from glasschat.prompt import ChatMessage, ChatTemplate, decode, user

_FORMATS = {
    "Llama 3": ("<|start_header_id|>", "<|eot_id|>"),
    "ChatML": ("<|im_start|>", "<|im_end|>"),
    "Gemma": ("<start_of_turn>", "<end_of_turn>"),
    "Mistral": ("[INST]", "[/INST]"),
    "Phi 3": ("<|user|>", "<|end|>"),
}


def open_template(subject: OpenedModel) -> tuple[ChatTemplate | None, Finding]:
    """Return the template, None if it cannot be used, and the finding about it."""
    source = subject.tokenizer.template_source
    metadata = subject.metadata
    replace = subject.how_to_change(
        "--chat-template-file FILE", "put one into chat_template.jinja in the folder"
    )
    if not source:
        return None, _missing_template(subject, replace)
    details = {"source": metadata.template_source, "characters": len(source)}
    try:
        template = ChatTemplate(subject.tokenizer)
        template.encode([user("x")])
        template.encode(DIALOG)
    except (TemplateError, InvalidMessage) as error:
        summary, _, _ = str(error).partition(";")
        return None, report_failure(
            "template", f"{metadata.template_source}: {summary}", f"{replace}", **details
        )
    unused = (
        f"; not used: {', '.join(metadata.other_templates)}" if metadata.other_templates else ""
    )
    return template, report_pass(
        "template", f"{metadata.template_source}, {len(source):,} characters{unused}", **details
    )


def system_prompt(subject: OpenedModel) -> Iterator[Finding]:
    """Check that the template takes a system prompt."""
    if subject.template is None:
        return
    try:
        subject.template.encode([ChatMessage("system", "Be brief."), *DIALOG])
    except (TemplateError, InvalidMessage) as error:
        yield report_warning(
            "system-prompt",
            f"a system prompt is refused: {error}",
            "leave it empty, or put it in front of the first message",
            taken=False,
        )
        return
    without = subject.template.encode([user("x")])
    start = next(span.start for span in without.spans if span.message == 0)
    opening = decode(subject.tokenizer, without.ids[:start])
    own = "system" in opening.lower() and len(opening) > 20
    default = f"; without one the template writes {quote(opening)}" if own else ""
    yield report_pass("system-prompt", f"a system prompt is taken{default}", taken=True)


def reply_opening(subject: OpenedModel) -> Iterator[Finding]:
    """Check that the template opens a new reply as it wrote the earlier ones."""
    if subject.template is None:
        return
    opened = subject.template.encode(DIALOG[:1]).ids
    encoding = subject.template.encode(DIALOG)
    asked = next(span.end for span in encoding.spans if span.message == 0)
    reply = next(span.start for span in encoding.spans if span.message == 1)
    before = encoding.ids[:reply]
    shown = quote(decode(subject.tokenizer, opened[asked:]))
    # A blank behind the opening belongs to the content; more, such as `<think>`, is on purpose.
    rest = decode(subject.tokenizer, before[len(opened) :])
    if before[: len(opened)] == opened[: len(before)] and not rest.strip():
        yield report_pass("reply-opening", f"a reply is opened as earlier ones are, by {shown}")
    elif opened[:asked] != encoding.ids[:asked]:
        yield report_warning(
            "reply-opening",
            "the template writes earlier turns in another way as soon as later ones follow",
            "nothing is wrong for the model; each turn is read anew, which takes longer",
        )
    else:
        earlier = quote(decode(subject.tokenizer, encoding.ids[asked:reply]))
        yield report_warning(
            "reply-opening",
            f"a reply is opened by {shown}, and earlier ones stand behind {earlier}",
            "compare with the publisher's template: one that does not open the reply makes the "
            "model begin with a header of its own",
        )


def _missing_template(subject: OpenedModel, replace: str) -> Finding:
    known = [
        name
        for name, pieces in _FORMATS.items()
        if all(subject.find_token(piece) is not None for piece in pieces)
    ]
    has = f", though it has the tokens of {known[0]}" if known else ""
    return report_warning(
        "template",
        f"no chat template{has}: a base model, or one whose template was lost on the way; it "
        f"can continue a text, and its chat format is not guessed",
        f"use an instruct or chat version of it, or let it continue plain text with --raw; to give "
        f"it its template: {replace}",
        source=None,
        formats=known,
    )
