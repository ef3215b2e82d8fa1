"""`glasschat prompt`: shows what the model will read, token by token."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from glasschat.cli.arguments import model_path, question_text
from glasschat.cli.terminal import json_text, printable, read_standard_input
from glasschat.errors import InvalidMessage, ParameterError
from glasschat.messages import Message
from glasschat.models.load import builtin_model, open_tokenizer
from glasschat.prompt import ChatMessage, ChatTemplate, PlainText, Role, SpanRecord, describe

_COLOURS = {"template": "2", "system": "35", "user": "36", "assistant": "32"}


def prompt(options: argparse.Namespace) -> int:
    """Encode the conversation and print its tokens."""
    messages = _messages(options)
    with open_tokenizer(model_path(options.model) or builtin_model()) as tokenizer:
        template = PlainText(tokenizer) if options.raw else ChatTemplate(tokenizer)
        encoding = template.prompt_for(messages)
        spans = describe(tokenizer, encoding)
    if options.json:
        print(json_text({"ids": list(encoding.ids), "spans": spans}))
    else:
        _print_spans(spans, len(encoding.ids))
    return 0


def _messages(options: argparse.Namespace) -> list[ChatMessage]:
    if options.messages is None:
        messages = [ChatMessage("user", question_text(options.question))]
    elif options.question:
        raise ParameterError("question", "left out when --messages is given", options.question)
    else:
        messages = read_messages(options.messages)
    if options.system is not None:
        messages.insert(0, ChatMessage("system", options.system))
    return messages


def read_messages(file: str) -> list[ChatMessage]:
    """Read a JSON list of {"role", "content"} from a file, or from standard input for "-".

    Raises InvalidMessage.
    """
    try:
        text = read_standard_input() if file == "-" else Path(file).read_text(encoding="utf-8")
        items = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidMessage(
            "cannot read messages from {file}: {error}", file=file, error=error
        ) from None
    shape = Message("a list of {item}", item='{"role": …, "content": …}')
    if not isinstance(items, list):
        raise InvalidMessage(
            "{file} must hold {shape}, and it holds a {type}",
            file=file,
            shape=shape,
            type=type(items).__name__,
        )
    return [
        _message(
            item,
            Message(
                "message {index} of {file} must be one of {shape}",
                index=index,
                file=file,
                shape=shape,
            ),
        )
        for index, item in enumerate(items)
    ]


def _message(item: Any, complaint: Message) -> ChatMessage:
    if not isinstance(item, dict) or set(item) - {"role", "content", "ids"}:
        raise InvalidMessage(complaint)
    role, text, ids = item.get("role"), item.get("content"), item.get("ids")
    if not isinstance(role, str) or not isinstance(text, str):
        raise InvalidMessage(complaint)
    if ids is not None and not (isinstance(ids, list) and all(type(i) is int for i in ids)):
        raise InvalidMessage(complaint)
    return ChatMessage(cast(Role, role), text, None if ids is None else tuple(ids))


def _print_spans(spans: Sequence[SpanRecord], tokens: int) -> None:
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for span in spans:
        text = printable(json.dumps(span["text"], ensure_ascii=False)[1:-1])
        label = f"{span['start']:>6} {span['end'] - span['start']:>5}  {span['origin']:<9}  "
        if coloured:
            text = f"\x1b[{_COLOURS[span['origin']]}m{text}\x1b[0m"
        print(label + text)
    print(f"{tokens} tokens: first position, tokens, origin and text of each span above")
