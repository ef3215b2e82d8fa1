"""Checks of the tokens that begin a prompt and end a reply."""

from collections.abc import Iterator

from glasschat import prompt
from glasschat.doctor.checks.rendering import render
from glasschat.doctor.finding import Finding, report_failure, report_pass, report_warning
from glasschat.doctor.formatting import list_first
from glasschat.doctor.metadata import Claim
from glasschat.doctor.opened_model import OpenedModel


def begin(subject: OpenedModel) -> Iterator[Finding]:
    """Report the begin-of-text token, which sources name it and which one asks for it."""
    metadata, tokenizer = subject.metadata, subject.tokenizer
    claims = [(claim.source, claim.token_id) for claim in subject.begin_claims]
    details = {
        "id": tokenizer.bos_id,
        "named_by": [{"source": source, "id": token_id} for source, token_id in claims],
        "asked_for": tokenizer.adds_bos,
        "asked_for_by": metadata.begin_required_by,
    }
    out_of_range = _out_of_range(subject, subject.begin_claims)
    if out_of_range:
        yield report_failure(
            "begin",
            out_of_range,
            subject.how_to_change("--special-token bos PIECE", "mend that key"),
            **details,
        )
    elif tokenizer.bos_id is None:
        yield report_pass("begin", "no begin-of-text token", **details)
    elif len({token_id for _, token_id in claims}) > 1:
        named = ", ".join(f"{source} says {subject.token(i)}" for source, i in claims)
        yield report_warning(
            "begin",
            f"begin-of-text is {subject.token(tokenizer.bos_id)}, and not all agree: {named}",
            "make them say the same; glasschat goes by the tokenizer",
            **details,
        )
    else:
        source = claims[0][0] if claims else "the tokenizer"
        required = "asks for it" if tokenizer.adds_bos else "does not ask for it"
        yield report_pass(
            "begin",
            f"begin-of-text is {subject.token(tokenizer.bos_id)} ({source}); "
            f"{metadata.begin_required_by} {required}",
            **details,
        )


def double_begin(subject: OpenedModel) -> Iterator[Finding]:
    """Check that no prompt gets begin-of-text twice, here or in other programs."""
    bos, template = subject.tokenizer.bos_id, subject.template
    if bos is None or template is None:
        return
    text = render(subject, [prompt.user("x")])
    written = 0
    for token_id in subject.tokenizer.encode(text, control=True):
        if token_id != bos:
            break
        written += 1
    asks = subject.metadata.begin_required_by
    ids = template.encode([prompt.user("x")]).ids
    details = {
        "template_writes": written,
        "asked_for": subject.tokenizer.adds_bos,
        "in_prompt": next((i for i, token_id in enumerate(ids) if token_id != bos), len(ids)),
    }
    piece = subject.piece(bos)
    if written > 1:
        yield report_failure(
            "double-begin",
            f"the template itself writes {piece} {written} times at the start; glasschat leaves "
            f"one, other programs read all",
            subject.how_to_change("--chat-template-file FILE", "mend the template"),
            **details,
        )
    elif written and subject.tokenizer.adds_bos:
        yield report_warning(
            "double-begin",
            f"the template writes {piece} and {asks} asks for another; glasschat puts one",
            "nothing to do here; a program that renders the text and then tokenizes it puts two: "
            "there, encode with add_special_tokens=False",
            **details,
        )
    elif written:
        yield report_pass("double-begin", f"once: the template writes {piece}", **details)
    elif subject.tokenizer.adds_bos:
        yield report_pass("double-begin", f"once: {asks} asks for {piece}", **details)
    else:
        yield report_pass(
            "double-begin", f"no {piece} in front of a prompt: nobody asks", **details
        )


def ends(subject: OpenedModel) -> Iterator[Finding]:
    """Report the tokens that end a reply, and the source of each."""
    metadata, tokenizer = subject.metadata, subject.tokenizer
    found = sorted(tokenizer.end_ids)
    named = {i: [c.source for c in subject.end_claims if c.token_id == i] for i in found}
    closing = prompt.find_turn_end(tokenizer, subject.template) if subject.template else None
    for sources in named.values():
        if not sources:
            sources.append(metadata.end_spelling_source or "the tokenizer")
    details = {
        "tokens": [
            {"id": i, "piece": subject.piece(i)[1:-1], "named_by": sources}
            for i, sources in named.items()
        ]
    }
    right = "PIECE" if closing is None else subject.piece(closing)
    how_to_change = subject.how_to_change(
        f"--special-token eos {right}", "mend eos_token_id in generation_config.json"
    )
    out_of_range = _out_of_range(subject, subject.end_claims)
    words = [i for i in found if i in metadata.ordinary_ids and not subject.looks_structural(i)]
    if out_of_range:
        yield report_failure("ends", out_of_range, how_to_change, **details)
    elif not found:
        yield report_failure(
            "ends", "no token ends a reply: each goes on to its limit", how_to_change, **details
        )
    elif words:
        yield report_failure(
            "ends",
            f"a reply ends at {subject.token(words[0])}, which is an ordinary word "
            f"({list_first(named[words[0]])}): replies break off there",
            how_to_change,
            **details,
        )
    else:
        listed = "; ".join(f"{subject.token(i)} ({list_first(by, 4)})" for i, by in named.items())
        yield report_pass("ends", f"a reply ends at {listed}", **details)


def turn_end(subject: OpenedModel) -> Iterator[Finding]:
    """Check that the token after a reply in the template is known to end one."""
    if subject.template is None:
        return
    token_id = prompt.find_turn_end(subject.tokenizer, subject.template)
    if token_id is None:
        yield report_warning(
            "turn-end",
            "the template closes a reply with no control token, so the model may not know to stop",
            "give what it writes after a reply as a stop text: --stop TEXT",
            id=None,
        )
    elif token_id not in subject.tokenizer.end_ids:
        add = subject.how_to_change(
            f"--special-token eot {subject.piece(token_id)}",
            f"add {token_id} to eos_token_id in generation_config.json",
        )
        yield report_failure(
            "turn-end",
            f"the template closes a reply with {subject.token(token_id)}, and nothing else in the "
            f"model says that a reply ends there; glasschat goes by the template, other programs "
            f"let it go on and speak for the user",
            add,
            id=token_id,
        )
    else:
        yield report_pass(
            "turn-end", f"the template closes a reply with {subject.token(token_id)}", id=token_id
        )


def _out_of_range(subject: OpenedModel, claims: tuple[Claim, ...]) -> str:
    count = subject.tokenizer.vocab_size
    for claim in claims:
        if not 0 <= claim.token_id < count:
            return (
                f"{claim.source} names token {claim.token_id}, and there are {count:,}: the "
                f"program that loads it takes another one"
            )
    return ""
