"""An error is explained in the visitor's language, from nothing but its line."""

import re
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from glasschat.chat.presets import Preset
from glasschat.chat.presets_file import presets_from_file
from glasschat.chat.store.failures import store_error
from glasschat.chat.tree import Tree
from glasschat.errors import GlasschatError, PromptTooLong, QueueFull
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams
from glasschat.web.error_text import LONGEST, explained
from glasschat.web.language import Language, speaking


def failing(action: Callable[[], object]) -> GlasschatError:
    with pytest.raises(GlasschatError) as caught:
        action()
    return caught.value


def in_chinese(error: GlasschatError | str) -> str:
    with speaking(Language.CHINESE):
        return explained(error)


def test_in_english_it_is_the_errors_own_line_as_a_sentence() -> None:
    error = failing(lambda: Tree().ask("a", " "))
    assert explained(error) == "The message is empty: type something first."
    assert explained("top_p must be less") == "top_p must be less."
    assert explained("Why?") == "Why?"


def test_a_message_too_long_is_explained_with_all_its_numbers() -> None:
    assert in_chinese(PromptTooLong(3000, 1024, 4096)) == (
        "提示词有 3,000 个 token，最多只能放下 1,023 个（最大长度 1,024，其中一个留给回复）："
        "请缩短 1,977 个 token，或把最大长度调高到不超过 4,096。"
    )
    assert "（上下文 1,024" in in_chinese(PromptTooLong(3000, 1024, 1024))


@pytest.mark.parametrize(
    "action",
    [
        lambda: Tree().ask("a", " "),
        lambda: Tree().delete("nowhere"),
        lambda: ChatMessage("user", "half \ud800"),
        lambda: presets_from_file(b"\xff"),
        lambda: Preset("", {}),
        *(
            lambda name=item.name: SamplingParams(**{name: "wrong"})
            for item in fields(SamplingParams)
            if item.name != "stop"
        ),
        lambda: SamplingParams(stop=("",)),
    ],
)
def test_what_visitors_commonly_meet_is_chinese_throughout(action: Callable[[], Any]) -> None:
    said = in_chinese(failing(action))
    assert said.endswith("。")
    # Names, values and the terms of the trade stay; words do not.
    left = re.sub(r"'[^']*'|\w+_\w+|[A-Z][\w+]*|token|id|seed|temperature|stages|json", "", said)
    assert not re.search(r"[a-z]{3,} [a-z]{3,}", left), said


def test_the_store_in_trouble_is_explained() -> None:
    import sqlite3

    for name, said in (("SQLITE_FULL", "磁盘已满"), ("SQLITE_BUSY", "被其他程序锁定")):
        cause = sqlite3.OperationalError("x")
        cause.sqlite_errorname = name
        assert said in in_chinese(store_error(cause, "/data/chats.db"))
    refused = in_chinese(store_error(PermissionError(13, "Permission denied"), "/data/chats.db"))
    assert refused.startswith("无法打开 /data/chats.db（Permission denied）：")


def test_a_kept_reply_is_explained_though_only_its_line_is_left() -> None:
    line = str(QueueFull("9 requests are waiting and at most 8 may: try again in a moment"))
    assert in_chinese(line) == "已有 9 个请求在排队，最多允许 8 个：请稍后再试。"
    line = "the model's logits held a NaN, which is not a number: try again, or load another file"
    assert in_chinese(line + " of this model").startswith("模型的 logits 中出现了 NaN")


def test_what_no_catalogue_has_stays_as_it_was_said() -> None:
    assert in_chinese("model.gguf is cut off after 12 bytes: download it again") == (
        "Model.gguf is cut off after 12 bytes: download it again."
    )


def test_a_strangers_text_within_an_error_is_not_read_as_one() -> None:
    """Values are looked up too, for `context` and the like, but stay values."""
    said = in_chinese("{name} must be {allowed}, and '{0}{x!r}' is not")
    assert "{name}" in said and "'{0}{x!r}'" in said


def test_no_line_takes_long() -> None:
    """Templates with several values try many places; a stranger may have chosen the line."""
    started = time.perf_counter()
    in_chinese(("the a must be " + ", and " * 300)[:LONGEST])
    in_chinese("x" * 5_000_000)
    assert time.perf_counter() - started < 2.0
