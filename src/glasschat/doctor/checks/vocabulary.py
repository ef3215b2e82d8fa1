"""Whether tokens and weights belong together, and text is cut as the model was taught."""

from collections.abc import Iterator

from glasschat.doctor.case import Case
from glasschat.doctor.finding import Finding, failed, passed, warned
from glasschat.doctor.words import plural, some

_CONVERT = "convert the model anew with a current converter, or get a newer conversion"
# What each family's text is cut by, in llama.cpp's names, told by tokens that only it has.
_SPLITTERS = {
    "llama-bpe": ("<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>"),
    "qwen2": ("<|im_start|>", "<|vision_start|>", "<|fim_prefix|>"),
}
# What converters write that do not know a model.
_GENERIC = (None, "", "default", "gpt-2")


def vocabulary(case: Case) -> Iterator[Finding]:
    """Tokens against the rows of the embedding."""
    facts = case.facts
    tokens = facts.tokens or case.tokenizer.vocab_size
    details = {
        "tokens": tokens,
        "embedding_rows": facts.embedding_rows,
        "output_rows": facts.output_rows,
    }
    rows = [count for count in (facts.embedding_rows, facts.output_rows) if count]
    claim = facts.vocabulary_claim
    if not facts.tensors:
        yield passed("vocabulary", f"{tokens:,} tokens", **details)
    elif not rows:
        yield warned(
            "vocabulary",
            f"{tokens:,} tokens, and no embedding was found to hold against them",
            "see whether it loads: its weights are missing, or named in a way of their own",
            **details,
        )
    elif min(rows) < tokens:
        yield failed(
            "vocabulary",
            f"{tokens:,} tokens and {min(rows):,} rows in the embedding: the last "
            f"{plural(tokens - min(rows), 'token')} would be read from nowhere",
            "tokenizer and weights are of different models: get both from one place",
            **details,
        )
    elif claim is not None and claim.token_id not in (tokens, facts.embedding_rows):
        yield warned(
            "vocabulary",
            f"{tokens:,} tokens, {facts.embedding_rows:,} rows in the embedding, and "
            f"{claim.source} says {claim.token_id:,}",
            _CONVERT,
            **details,
        )
    else:
        padding = max(rows) - tokens
        more = f", {plural(padding, 'row')} more as padding" if padding else ""
        yield passed("vocabulary", f"{tokens:,} tokens, each with its embedding{more}", **details)


def splitting(case: Case) -> Iterator[Finding]:
    """How text is cut into words before all else: a GGUF has that by name only."""
    facts = case.facts
    if facts.kind != "GGUF" or facts.sentencepiece:
        return
    name, source = facts.splitter, facts.splitter_source
    expected = _expected(case)
    details = {"splitter": name, "expected": expected}
    what = f"{source} is {name!r}" if name else f"there is no {source}"
    if expected and name in _GENERIC:
        yield failed(
            "splitting",
            f"{what}, and the tokens are those of {expected!r}: words, numbers and blanks are "
            f"cut in other places than the model was taught",
            case.change(f"--pre-tokenizer {expected}", _CONVERT),
            **details,
        )
    elif not name or name == "default":
        yield warned(
            "splitting",
            f"{what}: llama.cpp guesses how to cut text into words, and answers may suffer",
            _CONVERT,
            **details,
        )
    else:
        yield passed("splitting", f"text is cut as {name!r} does it ({source})", **details)


def structure(case: Case) -> Iterator[Finding]:
    """Control tokens that are typed as ordinary words."""
    tokenizer = case.tokenizer
    typed_wrong = [
        token_id
        for token_id in sorted(case.facts.ordinary & tokenizer.control_ids)
        if token_id not in tokenizer.end_ids or case.structural(token_id)
    ]
    count = len(tokenizer.control_ids)
    if typed_wrong:
        yield warned(
            "structure",
            f"{plural(len(typed_wrong), 'control token')} typed as ordinary words: "
            + some([case.token(i) for i in typed_wrong]),
            "glasschat knows them by their spelling and keeps them out of contents; other "
            f"programs may not: {_CONVERT}",
            control_tokens=count,
            mistyped=typed_wrong,
        )
    else:
        yield passed(
            "structure",
            f"{plural(count, 'token')} that no content may become",
            control_tokens=count,
            mistyped=[],
        )


def _expected(case: Case) -> str | None:
    for name, pieces in _SPLITTERS.items():
        if all(case.single(piece) is not None for piece in pieces):
            return name
    return None
