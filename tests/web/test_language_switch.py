"""The page in two languages: by the browser, by the switch, and each visitor in their own."""

import pytest

from glasschat.web.language import Language
from tests.web.conftest import Visit

ENGLISH, CHINESE = "What would you like to know?", "想了解点什么？"


@pytest.mark.parametrize(
    ("locale", "said", "tag"),
    [
        ("en-GB", ENGLISH, "en"),
        ("zh-CN", CHINESE, "zh-CN"),
        ("zh-TW", CHINESE, "zh-CN"),
        ("fr-FR", ENGLISH, "en"),
    ],
)
def test_the_browser_decides_at_first(visit: Visit, locale: str, said: str, tag: str) -> None:
    page = visit(locale=locale)
    assert said in page.text
    told = page.data("language_told")
    assert told["tag"] == tag and not told["chosen"], "no cookie for who has chosen nothing"


def test_a_switch_in_mid_chat_changes_no_setting_and_loses_nothing(visit: Visit) -> None:
    page = visit()
    page.choose("preset", "Creative")
    page.set(temperature=0.99, seed="7", top_k=40)
    page.ask("hello there")
    for language in (Language.CHINESE, Language.ENGLISH, Language.CHINESE):
        page.choose("language", language)
        preset = page.widget("preset")
        assert preset.value == "Creative"
        assert ("创意" in preset.options) == (language is Language.CHINESE)
        assert page.widget("temperature").value == 0.99
        assert page.widget("seed").value == "7" and page.widget("top_k").value == 40
        assert page.path == ["hello there"] * 2
        told = page.data("language_told")
        assert (told["tag"], told["chosen"]) == (language.tag, language)


def test_a_chinese_page_says_what_is_wrong_in_chinese(visit: Visit) -> None:
    page = visit(locale="zh-CN")
    page.set(seed="lucky")
    page.ask("keep me")
    assert "seed 应为不小于 0 的整数，或留空，而不是 'lucky'。" in page.notice
    page.set(seed="")
    page.ask("word " * 900)
    assert "请缩短" in page.notice and "个 token" in page.notice
    page.ask("failing: oh")
    assert "回复失败：内部错误" in page.text


def test_what_stands_under_a_turn_is_in_the_visitors_language(visit: Visit) -> None:
    for locale, words in (
        ("zh-CN", ("重新生成", "复制", "token/秒")),
        ("en-US", ("Again", "Copy")),
    ):
        page = visit(locale=locale)
        page.ask("slowly: one")
        bar = str(page.toolbar(page.conversation.tree.path[-1].id))
        assert all(word in bar for word in words)
        assert ("Copy" in bar) == (locale == "en-US")
        assert ("正在回复" in page.seen) == (locale == "zh-CN")
        assert ("writing" in page.seen) == (locale == "en-US")
