"""Whether there is a chat template, and whether it does what a chat needs."""

from collections.abc import Iterator

from glasschat.doctor.case import Case
from glasschat.doctor.checks.rendering import DIALOG
from glasschat.doctor.finding import Finding, failed, passed, warned
from glasschat.doctor.words import quoted
from glasschat.errors import InvalidMessage, TemplateError
from glasschat.prompt import ChatMessage, ChatTemplate, decode, user

_FORMATS = {
    "Llama 3": ("<|start_header_id|>", "<|eot_id|>"),
    "ChatML": ("<|im_start|>", "<|im_end|>"),
    "Gemma": ("<start_of_turn>", "<end_of_turn>"),
    "Mistral": ("[INST]", "[/INST]"),
    "Phi 3": ("<|user|>", "<|end|>"),
}


def open_template(case: Case) -> tuple[ChatTemplate | None, Finding]:
    """The template, if it can be used, and what there is to say of it."""
    source = case.tokenizer.template_source
    facts = case.facts
    replace = case.change(
        "--chat-template-file FILE", "put one into chat_template.jinja in the folder"
    )
    if not source:
        return None, _missing(case, replace)
    details = {"source": facts.template_source, "characters": len(source)}
    try:
        template = ChatTemplate(case.tokenizer)
        template.encode([user("x")])
        template.encode(DIALOG)
    except (TemplateError, InvalidMessage) as error:
        said, _, _ = str(error).partition(";")
        return None, failed("template", f"{facts.template_source}: {said}", f"{replace}", **details)
    others = f"; not used: {', '.join(facts.other_templates)}" if facts.other_templates else ""
    return template, passed(
        "template", f"{facts.template_source}, {len(source):,} characters{others}", **details
    )


def system_prompt(case: Case) -> Iterator[Finding]:
    """Whether the template takes a system prompt."""
    if case.template is None:
        return
    try:
        case.template.encode([ChatMessage("system", "Be brief."), *DIALOG])
    except (TemplateError, InvalidMessage) as error:
        yield warned(
            "system-prompt",
            f"a system prompt is refused: {error}",
            "leave it empty, or put it in front of the first message",
            taken=False,
        )
        return
    without = case.template.encode([user("x")])
    start = next(span.start for span in without.spans if span.message == 0)
    opening = decode(case.tokenizer, without.ids[:start])
    own = "system" in opening.lower() and len(opening) > 20
    default = f"; without one the template writes {quoted(opening)}" if own else ""
    yield passed("system-prompt", f"a system prompt is taken{default}", taken=True)


def reply_opening(case: Case) -> Iterator[Finding]:
    """Whether a reply is opened as earlier replies stand in the prompt."""
    if case.template is None:
        return
    opened = case.template.encode(DIALOG[:1]).ids
    encoding = case.template.encode(DIALOG)
    asked = next(span.end for span in encoding.spans if span.message == 0)
    reply = next(span.start for span in encoding.spans if span.message == 1)
    before = encoding.ids[:reply]
    shown = quoted(decode(case.tokenizer, opened[asked:]))
    # A blank behind the opening belongs to the content; more, such as `<think>`, is on purpose.
    rest = decode(case.tokenizer, before[len(opened) :])
    if before[: len(opened)] == opened[: len(before)] and not rest.strip():
        yield passed("reply-opening", f"a reply is opened as earlier ones are, by {shown}")
    elif opened[:asked] != encoding.ids[:asked]:
        yield warned(
            "reply-opening",
            "the template writes earlier turns in another way as soon as later ones follow",
            "nothing is wrong for the model; each turn is read anew, which takes longer",
        )
    else:
        earlier = quoted(decode(case.tokenizer, encoding.ids[asked:reply]))
        yield warned(
            "reply-opening",
            f"a reply is opened by {shown}, and earlier ones stand behind {earlier}",
            "compare with the publisher's template: one that does not open the reply makes the "
            "model begin with a header of its own",
        )


def _missing(case: Case, replace: str) -> Finding:
    known = [
        name
        for name, pieces in _FORMATS.items()
        if all(case.single(piece) is not None for piece in pieces)
    ]
    has = f", though it has the tokens of {known[0]}" if known else ""
    return warned(
        "template",
        f"no chat template{has}: a base model, or one whose template was lost on the way; it "
        f"can continue a text, and its chat format is not guessed",
        f"use an instruct or chat version of it, or let it continue plain text with --raw; to give "
        f"it its template: {replace}",
        source=None,
        formats=known,
    )
