"""English and Chinese: by the browser, by the switch, over reloads, and each for himself."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.panel import Tuner, tuner
from tests.e2e.visitor import scripted_site
from tests.support.browser import WebServer

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """Streamlit has to have nothing to complain of."""
    with scripted_site("--slots", "2", folder=tmp_path_factory.mktemp("language")) as server:
        yield server
        assert "streamlit" not in server.log


@pytest.mark.parametrize(
    ("locale", "said", "tag"),
    [
        ("en-GB", "What would you like to know?", "en"),
        ("zh-CN", "想了解点什么？", "zh-CN"),
        ("zh-TW", "想了解点什么？", "zh-CN"),
        ("fr-FR", "What would you like to know?", "en"),
    ],
)
def test_the_browser_decides_at_first(
    browser: Browser, server: WebServer, locale: str, said: str, tag: str
) -> None:
    with tuner(browser, server, locale=locale) as someone:
        expect(someone.page.get_by_text(said)).to_be_visible()
        assert someone.page.evaluate("document.documentElement.lang") == tag


def test_the_switch_holds_over_reloads_and_in_new_tabs(browser: Browser, server: WebServer) -> None:
    with tuner(browser, server, locale="en-US") as someone:
        someone.speak("中文")
        expect(someone.page.get_by_text("想了解点什么？")).to_be_visible()
        assert someone.page.evaluate("document.documentElement.lang") == "zh-CN"
        someone.page.reload()
        expect(someone.page.get_by_text("想了解点什么？")).to_be_visible()
        tab = Tuner(someone.page.context.new_page())
        tab.arrive(server.url)
        expect(tab.page.get_by_text("想了解点什么？")).to_be_visible()
        tab.speak("English")
        expect(tab.page.get_by_text("What would you like to know?")).to_be_visible()
        someone.page.reload()
        expect(someone.page.get_by_text("What would you like to know?")).to_be_visible()
        assert someone.complaints == tab.complaints == []


def test_a_switch_in_mid_chat_changes_no_setting_and_loses_nothing(
    browser: Browser, server: WebServer
) -> None:
    with tuner(browser, server, locale="en-US") as someone:
        someone.unfold()
        someone.choose_preset("Creative")
        someone.warm("ArrowLeft")
        someone.enter("seed", "7")
        someone.enter("top_k", "40")
        someone.ask("hello there")
        someone.sees("hello there")
        someone.ends()
        someone.input.fill("half a thought")
        for language, preset in (("中文", "创意"), ("English", "Creative"), ("中文", "创意")):
            someone.speak(language)
            expect(someone.preset).to_have_value(preset)
            expect(someone.temperature).to_have_value("0.99")
            expect(someone.number("seed")).to_have_value("7")
            expect(someone.number("top_k")).to_have_value("40")
            expect(someone.reply).to_contain_text("hello there")
            expect(someone.input).to_have_value("half a thought")
        someone.picture("chinese-chat")
        assert someone.complaints == []


def test_a_chinese_page_says_what_is_wrong_in_chinese(browser: Browser, server: WebServer) -> None:
    with tuner(browser, server, locale="zh-CN") as someone:
        someone.unfold()
        someone.enter("seed", "lucky")
        someone.ask("keep me")
        expect(someone.notice).to_contain_text("seed 应为不小于 0 的整数，或留空，而不是 'lucky'。")
        expect(someone.input).to_have_value("keep me")
        someone.enter("seed", "")
        someone.ask("word " * 900)
        expect(someone.notice).to_contain_text(re.compile("请缩短 .* 个 token"))
        someone.picture("chinese-too-long")
        someone.ask("failing: oh")
        expect(someone.page.get_by_text("回复失败：内部错误")).to_be_visible()


def test_visitors_at_once_each_have_their_own_language(browser: Browser, server: WebServer) -> None:
    with (
        tuner(browser, server, locale="en-US") as one,
        tuner(browser, server, locale="zh-CN") as other,
    ):
        one.ask("slowly: one two three")
        other.ask("slowly: eins zwei drei")
        expect(one.line).to_contain_text("writing")
        expect(other.line).to_contain_text("正在回复")
        one.sees("one two three")
        other.sees("eins zwei drei")
        expect(one.line).to_contain_text("tokens/s")
        expect(other.line).to_contain_text("token/秒")


def test_no_english_is_left_on_a_chinese_page(browser: Browser, server: WebServer) -> None:
    """Names, the trade's own terms, and the titles of other visitors' chats aside."""
    with tuner(browser, server, locale="zh-CN") as someone:
        someone.unfold()
        someone.warm("ArrowRight")
        someone.ask("你好")
        someone.sees("你好")
        expect(someone.line).to_contain_text("token/秒")
        someone.settles()
        words = someone.page.evaluate(
            """() => {
              const found = [];
              const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
              while (walker.nextNode()) {
                const element = walker.currentNode.parentElement;
                const wordless = 'style, script, [data-testid="stIconMaterial"], [role="img"], '
                  + '.st-key-chats, a[href^="#"]';
                if (!element.checkVisibility() || element.closest(wordless)) continue;
                if (getComputedStyle(element).fontSize === "0px") continue;
                found.push(walker.currentNode.textContent.trim());
              }
              return found;
            }"""
        )
        known = re.compile(r"tokens?|Top [PK]|Min P|Typical P|scripted|none|English|id|glasschat")
        left = [text for text in words if re.search(r"[A-Za-z]{2}", known.sub("", text))]
        assert left == []
