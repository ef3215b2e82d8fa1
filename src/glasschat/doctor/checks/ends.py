"""Where a prompt begins and where a reply ends, and who says so."""

from collections.abc import Iterator

from glasschat import prompt
from glasschat.doctor.case import Case
from glasschat.doctor.checks.rendering import rendered
from glasschat.doctor.facts import Claim
from glasschat.doctor.finding import Finding, failed, passed, warned
from glasschat.doctor.words import some


def begin(case: Case) -> Iterator[Finding]:
    """Which token begins a text, who names it and who asks for it."""
    facts, tokenizer = case.facts, case.tokenizer
    claims = [(claim.source, claim.token_id) for claim in case.begins]
    details = {
        "id": tokenizer.bos_id,
        "named_by": [{"source": source, "id": token_id} for source, token_id in claims],
        "asked_for": tokenizer.adds_bos,
        "asked_for_by": facts.begin_asked_by,
    }
    outside = _outside(case, case.begins)
    if outside:
        yield failed(
            "begin",
            outside,
            case.change("--special-token bos PIECE", "mend that key"),
            **details,
        )
    elif tokenizer.bos_id is None:
        yield passed("begin", "no begin-of-text token", **details)
    elif len({token_id for _, token_id in claims}) > 1:
        named = ", ".join(f"{source} says {case.token(i)}" for source, i in claims)
        yield warned(
            "begin",
            f"begin-of-text is {case.token(tokenizer.bos_id)}, and not all agree: {named}",
            "make them say the same; glasschat goes by the tokenizer",
            **details,
        )
    else:
        source = claims[0][0] if claims else "the tokenizer"
        wanted = "asks for it" if tokenizer.adds_bos else "does not ask for it"
        yield passed(
            "begin",
            f"begin-of-text is {case.token(tokenizer.bos_id)} ({source}); {facts.begin_asked_by} "
            f"{wanted}",
            **details,
        )


def double_begin(case: Case) -> Iterator[Finding]:
    """Whether a prompt could begin twice, here or in other programs."""
    bos, template = case.tokenizer.bos_id, case.template
    if bos is None or template is None:
        return
    text = rendered(case, [prompt.user("x")])
    written = 0
    for token_id in case.tokenizer.encode(text, control=True):
        if token_id != bos:
            break
        written += 1
    asks = case.facts.begin_asked_by
    ids = template.encode([prompt.user("x")]).ids
    details = {
        "template_writes": written,
        "asked_for": case.tokenizer.adds_bos,
        "in_prompt": next((i for i, token_id in enumerate(ids) if token_id != bos), len(ids)),
    }
    piece = case.piece(bos)
    if written > 1:
        yield failed(
            "double-begin",
            f"the template itself writes {piece} {written} times at the start; glasschat leaves "
            f"one, other programs read all",
            case.change("--chat-template-file FILE", "mend the template"),
            **details,
        )
    elif written and case.tokenizer.adds_bos:
        yield warned(
            "double-begin",
            f"the template writes {piece} and {asks} asks for another; glasschat puts one",
            "nothing to do here; a program that renders the text and then tokenizes it puts two: "
            "there, encode with add_special_tokens=False",
            **details,
        )
    elif written:
        yield passed("double-begin", f"once: the template writes {piece}", **details)
    elif case.tokenizer.adds_bos:
        yield passed("double-begin", f"once: {asks} asks for {piece}", **details)
    else:
        yield passed("double-begin", f"no {piece} in front of a prompt: nobody asks", **details)


def ends(case: Case) -> Iterator[Finding]:
    """Which tokens end a reply, and who names each."""
    facts, tokenizer = case.facts, case.tokenizer
    found = sorted(tokenizer.end_ids)
    named = {i: [c.source for c in case.ends if c.token_id == i] for i in found}
    closing = prompt.find_turn_end(tokenizer, case.template) if case.template else None
    for sources in named.values():
        if not sources:
            sources.append(facts.spelled_ends or "the tokenizer")
    details = {
        "tokens": [
            {"id": i, "piece": case.piece(i)[1:-1], "named_by": sources}
            for i, sources in named.items()
        ]
    }
    right = "PIECE" if closing is None else case.piece(closing)
    change = case.change(
        f"--special-token eos {right}", "mend eos_token_id in generation_config.json"
    )
    outside = _outside(case, case.ends)
    words = [i for i in found if i in facts.ordinary and not case.structural(i)]
    if outside:
        yield failed("ends", outside, change, **details)
    elif not found:
        yield failed("ends", "no token ends a reply: each goes on to its limit", change, **details)
    elif words:
        yield failed(
            "ends",
            f"a reply ends at {case.token(words[0])}, which is an ordinary word "
            f"({some(named[words[0]])}): replies break off there",
            change,
            **details,
        )
    else:
        listed = "; ".join(f"{case.token(i)} ({some(by, 4)})" for i, by in named.items())
        yield passed("ends", f"a reply ends at {listed}", **details)


def turn_end(case: Case) -> Iterator[Finding]:
    """Whether what the template writes after a reply is known to end one."""
    if case.template is None:
        return
    token_id = prompt.find_turn_end(case.tokenizer, case.template)
    if token_id is None:
        yield warned(
            "turn-end",
            "the template closes a reply with no control token, so the model may not know to stop",
            "give what it writes after a reply as a stop text: --stop TEXT",
            id=None,
        )
    elif token_id not in case.tokenizer.end_ids:
        add = case.change(
            f"--special-token eot {case.piece(token_id)}",
            f"add {token_id} to eos_token_id in generation_config.json",
        )
        yield failed(
            "turn-end",
            f"the template closes a reply with {case.token(token_id)}, and nothing else in the "
            f"model says that a reply ends there; glasschat goes by the template, other programs "
            f"let it go on and speak for the user",
            add,
            id=token_id,
        )
    else:
        yield passed(
            "turn-end", f"the template closes a reply with {case.token(token_id)}", id=token_id
        )


def _outside(case: Case, claims: tuple[Claim, ...]) -> str:
    count = case.tokenizer.vocab_size
    for claim in claims:
        if not 0 <= claim.token_id < count:
            return (
                f"{claim.source} names token {claim.token_id}, and there are {count:,}: the "
                f"program that loads it takes another one"
            )
    return ""
