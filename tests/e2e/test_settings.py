"""Presets: chosen, changed, put back, saved, shared; one's own stages; in both languages and on a
phone."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from glasschat.chat import Node, SavedConversation
from glasschat.chat.store import LOCAL_OWNER, open_store
from glasschat.chat.tree import Tree
from glasschat.sampling import CustomStage, SamplingParams
from tests.e2e.panel import Tuner, tuner
from tests.e2e.visitor import scripted_site
from tests.support.browser import WebServer

pytestmark = pytest.mark.browser

PHONE: dict[str, Any] = {"viewport": {"width": 375, "height": 812}, "has_touch": True}
Come = Callable[..., Tuner]

STAGES = [f"--stage=tests.support.own_stages:{name}" for name in ("Letters", "Wrong")]
ELSEWHERE = SavedConversation(
    title="elsewhere",
    params=SamplingParams(own_stages=(CustomStage.of("gone", "warper", {"by": 0.5}),)),
    tree=Tree(
        (Node("q", None, "user", "hi"), Node("a", "q", "assistant", "written there")),
        {None: "q", "q": "a"},
    ),
)
"""A conversation with a stage that this server does not have."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """One with a store of its own, whose log has to stay quiet."""
    folder = tmp_path_factory.mktemp("settings")
    store = open_store(str(folder / "chats.db"))
    store.add(LOCAL_OWNER, ELSEWHERE)
    store.close()
    with scripted_site("--store", str(folder / "chats.db"), *STAGES, folder=folder) as server:
        yield server
        assert server.log == ""


@pytest.fixture
def come(browser: Browser, server: WebServer) -> Iterator[Come]:
    """Brings visitors; they leave when the test ends."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(tuner(browser, server, **options))


def test_a_changed_setting_shows_what_the_preset_has_and_goes_back(come: Come) -> None:
    someone = come()
    expect(someone.undo_all).to_be_disabled()
    before = someone.page.locator(".st-key-settings").bounding_box()
    someone.warm("ArrowRight", "ArrowRight")
    expect(someone.back("temperature")).to_have_text("undo 0.70")
    expect(someone.back("top_p")).to_have_count(0)
    assert someone.page.locator(".st-key-settings").bounding_box() == before, "nothing jumps"
    someone.picture("settings-changed")
    someone.back("temperature").click()
    expect(someone.back("temperature")).to_have_count(0)
    expect(someone.temperature).to_have_value("0.7")
    expect(someone.undo_all).to_be_disabled()


def test_a_preset_sets_its_settings_and_all_go_back_at_once(come: Come) -> None:
    someone = come()
    someone.unfold()
    someone.enter("seed", "7")
    someone.choose_preset("Creative")
    expect(someone.temperature).to_have_value("1")
    expect(someone.number("min_p")).to_have_value("0.05")
    expect(someone.number("seed")).to_have_value("7")
    someone.enter("min_p", "0.2")
    someone.enter("top_k", "40")
    expect(someone.back("min_p")).to_have_text("undo 0.05")
    someone.undo_all.click()
    expect(someone.number("min_p")).to_have_value("0.05")
    expect(someone.number("top_k")).to_have_value("0")
    someone.choose_preset("Original")
    expect(someone.temperature).to_have_value("0.7")
    expect(someone.number("repetition_penalty")).to_have_value("1.005")
    assert someone.complaints == []


def test_ones_own_preset_is_there_after_a_reload_and_can_be_deleted_and_had_back(
    come: Come,
) -> None:
    someone = come()
    someone.unfold()
    someone.enter("stop", "User:\n\\n\\n")
    someone.warm("Home")
    someone.save_preset("calm *one*")
    expect(someone.preset).to_have_value("calm *one*")
    expect(someone.undo_all).to_be_disabled()
    someone.page.goto(someone.page.url)
    someone.settles()
    expect(someone.temperature).to_have_value("0.7")
    someone.choose_preset("calm *one*")
    expect(someone.temperature).to_have_value("0")
    someone.unfold()
    expect(someone.page.locator(".st-key-stop textarea")).to_have_value("User:\n\\n\\n")
    dialog = someone.open_presets()
    expect(dialog).to_contain_text("Temperature 0.00 · Top P 0.80 · Repetition penalty 1.005")
    someone.picture("presets")
    someone.button("preset_delete_0").click()
    expect(dialog).to_have_count(0)
    expect(someone.preset).to_have_value("Original")
    expect(someone.back("temperature")).to_have_text("undo 0.70")
    someone.page.locator(".st-key-undo_button button").click()
    someone.settles()
    someone.choose_preset("calm *one*")
    expect(someone.undo_all).to_be_disabled()
    assert someone.complaints == []


def test_presets_are_shared_as_files(come: Come, tmp_path: Path) -> None:
    someone = come()
    someone.choose_preset("Precise")
    someone.save_preset("for code")
    someone.open_presets()
    row = someone.page.locator('[class*="st-key-own_preset_"]', has_text="for code").first
    with someone.page.expect_download() as download:
        row.get_by_role("button", name="Download").locator("visible=true").first.click()
    shared = json.loads(Path(download.value.path()).read_text())
    assert shared["format"] == "glasschat presets"
    assert shared["presets"][0]["settings"]["temperature"] == 0.2
    shared["presets"][0]["settings"] |= {"temperature": 1.5, "mirostat": 2}
    shared["presets"].append({"name": "broken", "settings": {"top_p": 9}})
    file = tmp_path / "shared.json"
    file.write_text(json.dumps(shared))
    dialog = someone.page.get_by_role("dialog")
    dialog.locator('input[type="file"]').set_input_files(file)
    expect(dialog).to_contain_text("Added: for code 2")
    expect(dialog).to_contain_text("'mirostat' is no setting of a preset")
    expect(dialog).to_contain_text("top_p must be a number between 0 and 1, and 9 is not")
    someone.picture("presets-imported")
    someone.page.keyboard.press("Escape")
    someone.settles()
    someone.choose_preset("for code 2")
    expect(someone.temperature).to_have_value("1.5")
    expect(someone.temperature).to_have_attribute("max", "1.5")
    someone.choose_preset("for code")
    expect(someone.temperature).to_have_value("0.2")
    assert someone.complaints == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n", "文件不是 UTF-8 文本"),
        (b'{"format": "glasschat"}', "文件中没有预设"),
        (b'{"format": "glasschat presets", "version": 99}', "文件版本为 99"),
    ],
)
def test_a_file_that_is_none_says_so_in_the_visitors_language(
    come: Come, tmp_path: Path, content: bytes, said: str
) -> None:
    someone = come(locale="zh-CN")
    dialog = someone.open_presets()
    file = tmp_path / "strange.json"
    file.write_bytes(content)
    dialog.locator('input[type="file"]').set_input_files(file)
    expect(dialog.get_by_role("alert")).to_contain_text(said)
    assert someone.complaints == []


def test_a_name_that_no_preset_can_have_is_refused_and_kept_to_mend(come: Come) -> None:
    someone = come()
    dialog = someone.open_presets()
    name = dialog.locator(".st-key-preset_name input")
    for wrong, said in (("", "1 to 60 printable"), ("precise", "another than that of a built-in")):
        name.fill(wrong)
        someone.button("preset_save").click()
        expect(dialog.get_by_role("alert")).to_contain_text(said)
        expect(name).to_have_value(wrong)


def test_each_conversation_has_its_own_settings(come: Come) -> None:
    someone = come()
    someone.choose_preset("Creative")
    someone.enter("system", "Be brief.")
    someone.ask("first")
    someone.sees("first")
    someone.ends()
    someone.button("new_chat").click()
    someone.settles()
    someone.choose_preset("Precise")
    someone.warm("ArrowRight")
    someone.ask("second")
    someone.sees("second")
    someone.ends()
    chats = someone.page.locator(".st-key-chats")
    chats.get_by_role("button", name="first", exact=True).locator("visible=true").first.click()
    someone.settles()
    expect(someone.preset).to_have_value("Creative")
    expect(someone.temperature).to_have_value("1")
    expect(someone.page.locator(".st-key-system textarea")).to_have_value("Be brief.")
    chats.get_by_role("button", name="second", exact=True).locator("visible=true").first.click()
    someone.settles()
    expect(someone.temperature).to_have_value("0.21")


def test_a_full_context_leaves_out_the_oldest_turns_where_one_wants_that(come: Come) -> None:
    someone = come()
    long = "word " * 350
    for _turn in range(2):
        someone.ask(long)
        someone.ends()
    someone.ask(long)
    expect(someone.notice).to_contain_text("shorten it by")
    someone.unfold()
    someone.pick("context_policy", "Leave out the oldest turns")
    someone.ask(long)
    someone.ends()
    expect(someone.notice).to_have_count(0)


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_panel_fits_a_phone(come: Come, language: str, scheme: str) -> None:
    someone = come(**PHONE, locale=language, color_scheme=scheme)
    someone.page.locator('[data-testid="stExpandSidebarButton"]').click()
    expect(someone.temperature).to_be_visible()
    someone.page.wait_for_timeout(400)
    someone.warm("ArrowLeft")
    someone.picture(f"settings-phone-{language}-{scheme}")
    target = someone.back("temperature").bounding_box()
    assert target is not None and target["height"] >= 38, "a thumb has to hit it"
    sidebar = someone.page.locator('[data-testid="stSidebar"]').bounding_box()
    assert sidebar is not None
    wide = """limit => [...document.querySelectorAll('.st-key-settings *:not(input)')]
      .filter(e => e.getBoundingClientRect().right > limit + 1)
      .map(e => e.outerHTML.slice(0, 80))"""
    assert someone.page.evaluate(wide, sidebar["width"]) == []
    someone.back("temperature").tap()
    expect(someone.temperature).to_have_value("0.7")
    someone.unfold()
    someone.page.locator(".st-key-stop_unwatched").scroll_into_view_if_needed()
    someone.picture(f"settings-phone-more-{language}-{scheme}")
    someone.page.locator(".st-key-preset_row").scroll_into_view_if_needed()
    dialog = someone.open_presets()
    box = dialog.bounding_box()
    assert box is not None and box["width"] <= 375


def test_a_stage_of_ones_own_is_switched_set_and_kept(come: Come) -> None:
    someone = come()
    section = someone.page.locator(".st-key-own_stages")
    # Its own words, and nothing in them is Markdown.
    expect(section).to_contain_text("Fewer *letters*")
    expect(section).not_to_contain_text("How much")
    someone.switch_on("own-letters")
    expect(someone.back("own_letters")).to_have_text("undo off")
    expect(someone.undo_all).to_be_enabled()
    slider = someone.page.locator(".st-key-own-letters-by").get_by_role("slider")
    expect(slider).to_have_value("2")
    slider.press("End")
    someone.settles()
    expect(someone.back("own_letters_by")).to_have_text("undo 2.00")
    someone.enter("own-letters-spare", "ab")
    someone.picture("own-stages")
    someone.ask("abc")
    someone.sees("ab")
    someone.ends()
    expect(someone.reply).not_to_contain_text("c")
    someone.switch_on("own-wrong")
    someone.ask("second")
    expect(someone.notice).to_contain_text("The stage wrong failed: KeyError")
    first = someone.page.url
    someone.undo_all.click()
    someone.settles()
    expect(section).not_to_contain_text("How much")
    someone.page.goto(first)
    someone.settles()
    expect(slider).to_have_value("50")
    assert someone.complaints == []


def test_a_stage_that_is_not_here_is_told_and_can_be_given_up(
    come: Come, server: WebServer
) -> None:
    someone = come()
    section = someone.page.locator(".st-key-own_stages")
    someone.page.goto(f"{server.url}/?chat={ELSEWHERE.id}")
    someone.settles()
    expect(someone.reply).to_have_text("written there")
    expect(section).to_contain_text("It is not on this server: turn it off to go on.")
    someone.ask("more")
    expect(someone.notice).to_contain_text("The stage gone is not here: turn it off")
    someone.settles()
    someone.page.locator(".st-key-own-gone label").click()
    someone.settles()
    expect(section).not_to_contain_text("gone")
    someone.ask("more")
    someone.sees("more")
    someone.ends()
    assert someone.complaints == []
