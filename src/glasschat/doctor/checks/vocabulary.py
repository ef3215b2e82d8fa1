"""Checks that tokens fit the weights, and that text is split as in training."""

from collections.abc import Iterator

from glasschat.doctor.finding import Finding, report_failure, report_pass, report_warning
from glasschat.doctor.formatting import list_first, plural
from glasschat.doctor.opened_model import OpenedModel

_CONVERT = "convert the model anew with a current converter, or get a newer conversion"
# What each family's text is cut by, in llama.cpp's names, recognised by tokens that only it has.
_SPLITTERS = {
    "llama-bpe": ("<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>"),
    "qwen2": ("<|im_start|>", "<|vision_start|>", "<|fim_prefix|>"),
}
# What converters write that do not know a model.
_GENERIC = (None, "", "default", "gpt-2")


def vocabulary(subject: OpenedModel) -> Iterator[Finding]:
    """Compare the number of tokens with the rows of the embedding."""
    metadata = subject.metadata
    tokens = metadata.tokens or subject.tokenizer.vocab_size
    details = {
        "tokens": tokens,
        "embedding_rows": metadata.embedding_rows,
        "output_rows": metadata.output_rows,
    }
    rows = [count for count in (metadata.embedding_rows, metadata.output_rows) if count]
    claim = metadata.vocabulary_claim
    if not metadata.tensors:
        yield report_pass("vocabulary", f"{tokens:,} tokens", **details)
    elif not rows:
        yield report_warning(
            "vocabulary",
            f"{tokens:,} tokens, and no embedding was found to hold against them",
            "see whether it loads: its weights are missing, or named in a way of their own",
            **details,
        )
    elif min(rows) < tokens:
        yield report_failure(
            "vocabulary",
            f"{tokens:,} tokens and {min(rows):,} rows in the embedding: the last "
            f"{plural(tokens - min(rows), 'token')} would be read from nowhere",
            "tokenizer and weights are of different models: get both from one place",
            **details,
        )
    elif claim is not None and claim.token_id not in (tokens, metadata.embedding_rows):
        yield report_warning(
            "vocabulary",
            f"{tokens:,} tokens, {metadata.embedding_rows:,} rows in the embedding, and "
            f"{claim.source} says {claim.token_id:,}",
            _CONVERT,
            **details,
        )
    else:
        padding = max(rows) - tokens
        more = f", {plural(padding, 'row')} more as padding" if padding else ""
        yield report_pass(
            "vocabulary", f"{tokens:,} tokens, each with its embedding{more}", **details
        )


def splitting(subject: OpenedModel) -> Iterator[Finding]:
    """Check the pre-tokenizer, which splits text into words; a GGUF has only its name."""
    metadata = subject.metadata
    if metadata.kind != "GGUF" or metadata.sentencepiece:
        return
    name, source = metadata.pre_tokenizer, metadata.pre_tokenizer_source
    expected = _expected_pre_tokenizer(subject)
    details = {"splitter": name, "expected": expected}
    what = f"{source} is {name!r}" if name else f"there is no {source}"
    if expected and name in _GENERIC:
        yield report_failure(
            "splitting",
            f"{what}, and the tokens are those of {expected!r}: words, numbers and blanks are "
            f"cut in other places than the model was taught",
            subject.how_to_change(f"--pre-tokenizer {expected}", _CONVERT),
            **details,
        )
    elif not name or name == "default":
        yield report_warning(
            "splitting",
            f"{what}: llama.cpp guesses how to cut text into words, and answers may suffer",
            _CONVERT,
            **details,
        )
    else:
        yield report_pass("splitting", f"text is cut as {name!r} does it ({source})", **details)


def structure(subject: OpenedModel) -> Iterator[Finding]:
    """Check that no control token is typed as an ordinary word."""
    tokenizer = subject.tokenizer
    typed_wrong = [
        token_id
        for token_id in sorted(subject.metadata.ordinary_ids & tokenizer.control_ids)
        if token_id not in tokenizer.end_ids or subject.looks_structural(token_id)
    ]
    count = len(tokenizer.control_ids)
    if typed_wrong:
        yield report_warning(
            "structure",
            f"{plural(len(typed_wrong), 'control token')} typed as ordinary words: "
            + list_first([subject.token(i) for i in typed_wrong]),
            "glasschat knows them by their spelling and keeps them out of contents; other "
            f"programs may not: {_CONVERT}",
            control_tokens=count,
            mistyped=typed_wrong,
        )
    else:
        yield report_pass(
            "structure",
            f"{plural(count, 'token')} that no content may become",
            control_tokens=count,
            mistyped=[],
        )


def _expected_pre_tokenizer(subject: OpenedModel) -> str | None:
    for name, pieces in _SPLITTERS.items():
        if all(subject.find_token(piece) is not None for piece in pieces):
            return name
    return None
