"""An error is explained in the visitor's language, by its template and values."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glasschat.chat.node import Ending, Run
from glasschat.chat.presets import Preset
from glasschat.chat.presets_file import presets_from_file
from glasschat.chat.store.failures import to_store_error
from glasschat.chat.store.packing import run_columns, unpack_run
from glasschat.chat.tree import Tree
from glasschat.errors import (
    GlasschatError,
    ParameterError,
    PromptTooLong,
    QueueFull,
    ReplyFailed,
)
from glasschat.messages import Message
from glasschat.models.gguf.header import read_header
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams
from glasschat.sampling.trace import MODEL, MODEL_REMEDY, check_peak
from glasschat.web.error_text import explain
from glasschat.web.language import Language, speaking


def failing(action: Callable[[], object]) -> GlasschatError:
    with pytest.raises(GlasschatError) as caught:
        action()
    return caught.value


def in_chinese(error: GlasschatError | str) -> str:
    with speaking(Language.CHINESE):
        return explain(error)


def test_in_english_it_is_the_errors_own_line_as_a_sentence() -> None:
    error = failing(lambda: Tree().ask("a", " "))
    assert explain(error) == "The message is empty: type something first."
    assert explain("top_p must be less") == "top_p must be less."
    assert explain("Why?") == "Why?"


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
            if item.name not in ("stop", "dry_sequence_breakers")
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
        assert said in in_chinese(to_store_error(cause, "/data/chats.db"))
    refused = in_chinese(to_store_error(PermissionError(13, "Permission denied"), "/data/chats.db"))
    assert refused.startswith("无法打开 /data/chats.db（Permission denied）：")


def test_an_error_within_an_error_is_explained_too() -> None:
    inner = QueueFull(
        "{waiting} requests are waiting and at most {max_waiting} may: try again in a moment",
        waiting=9,
        max_waiting=8,
    )
    outer = Message("the model cannot be used: {error}", error=inner)
    assert in_chinese(outer) == "模型无法使用：已有 9 个请求在排队，最多允许 8 个：请稍后再试。"
    assert explain(outer) == (
        "The model cannot be used: 9 requests are waiting and at most 8 may: try again in a moment."
    )


def test_an_error_about_the_model_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 40)
    said = in_chinese(failing(lambda: read_header(file)))
    assert said.startswith("model.gguf 已损坏：其中声明了 18,446,744,073,709,551,615 个张量和")
    assert said.endswith("：请重新下载或复制。")
    assert in_chinese(failing(lambda: read_header(tmp_path / "none.gguf"))).startswith("找不到文件")


def test_an_error_of_months_ago_is_read_in_its_readers_language() -> None:
    """It is kept with a reply, in a store, and comes out of it as it was."""
    line = "the model's logits held a NaN, which is not a number: try again, or load another file"
    error = failing(lambda: check_peak(math.nan, MODEL, MODEL_REMEDY))
    run = Run(SamplingParams(), ending=Ending.ERROR, error=error.message)
    kept = unpack_run(SimpleNamespace(**run_columns(run)))
    assert kept == run and str(kept.error).startswith(line)
    assert in_chinese(kept.error or "") == (
        "模型的 logits 中出现了 NaN（不是数字）：请重试，或换用该模型的其他文件。"
    )


def test_a_line_of_an_older_database_is_shown_as_it_is() -> None:
    line = "9 requests are waiting and at most 8 may: try again in a moment"
    run = Run(SamplingParams(), ending=Ending.ERROR, error=line)
    columns = run_columns(run)
    assert "message" not in json.loads(columns["figures"])
    assert unpack_run(SimpleNamespace(**columns)) == run
    assert in_chinese(line) == line + "."


def test_what_no_catalogue_has_stays_as_it_was_said() -> None:
    for error in (
        "model.gguf is cut off after 12 bytes: download it again",
        ReplyFailed("{name} is cut off after 12 bytes: download it again", name="model.gguf"),
    ):
        assert in_chinese(error) == "Model.gguf is cut off after 12 bytes: download it again."


def test_a_strangers_text_within_an_error_is_not_read_as_one() -> None:
    """Not as a template, nor as the name of a message."""
    wrong = ParameterError("{name}", "context", "{0}{x!r}")
    said = in_chinese(wrong)
    assert "{name}" in said and "'{0}{x!r}'" in said
    inner = "the message is empty: type something first"
    assert inner in in_chinese(ReplyFailed("internal error: {type}", type=inner))
