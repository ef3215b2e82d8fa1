"""English and Chinese in a browser: the switch over reloads and tabs, and no English left."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Tune
from tests.e2e.panel import Tuner
from tests.support.browser import WebServer

pytestmark = pytest.mark.browser


def test_the_switch_holds_over_reloads_and_in_new_tabs(tune: Tune, script: WebServer) -> None:
    someone = tune(locale="en-US")
    expect(someone.page.locator("html")).to_have_attribute("lang", "en")
    someone.ask("hello there")
    someone.sees("hello there")
    someone.ends()
    chat = someone.page.url
    someone.input.fill("half a thought")
    for language, preset in (("中文", "原版"), ("English", "Original"), ("中文", "原版")):
        someone.speak(language)
        expect(someone.preset).to_have_value(re.compile(preset))
        expect(someone.reply).to_contain_text("hello there")
        expect(someone.input).to_have_value("half a thought")
    expect(someone.page.locator("html")).to_have_attribute("lang", "zh-CN")
    someone.picture("chinese-chat")
    someone.page.goto(script.url)
    expect(someone.page.get_by_text("想了解点什么？")).to_be_visible()
    tab = Tuner(someone.page.context.new_page())
    tab.arrive(script.url)
    expect(tab.page.get_by_text("想了解点什么？")).to_be_visible()
    tab.speak("English")
    expect(tab.page.get_by_text("What would you like to know?")).to_be_visible()
    someone.page.goto(chat)
    expect(someone.page.get_by_role("button", name="New chat").first).to_be_visible()
    assert someone.complaints == tab.complaints == []


def test_no_english_is_left_on_a_chinese_page(tune: Tune) -> None:
    """Names, the trade's own terms, and the titles of other visitors' chats aside."""
    someone = tune(locale="zh-CN")
    expect(someone.page.locator("html")).to_have_attribute("lang", "zh-CN")
    someone.unfold()
    someone.warm("ArrowRight")
    someone.ask("天空为什么是蓝色的")
    someone.sees("天空为什么是蓝色的")
    expect(someone.line).to_contain_text("token/秒")
    someone.settles()
    someone.picture("chinese")
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
    terms = r"tokens?|Top [PK]|Top-nσ|XTC|DRY|Min P|Typical P"
    known = re.compile(terms + r"|scripted|none|English|id|glasschat")
    left = [text for text in words if re.search(r"[A-Za-z]{2}", known.sub("", text))]
    assert left == []
