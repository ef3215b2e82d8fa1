"""The panel of settings in a browser: nothing jumps, dialogs save, and a thumb reaches it."""

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.conftest import Tune

pytestmark = pytest.mark.browser

PHONE: dict[str, Any] = {"viewport": {"width": 375, "height": 812}, "has_touch": True}


def laid_out(element: Locator) -> Any:
    """Return x, y, width and height of an element, whatever the sidebar is scrolled to."""
    return element.evaluate(
        """element => {
            const box = element.getBoundingClientRect();
            let scrolled = 0;
            for (let e = element.parentElement; e; e = e.parentElement) scrolled += e.scrollTop;
            return [box.x, box.y + scrolled, box.width, box.height];
        }"""
    )


def test_settings_are_changed_saved_found_again_and_put_back(tune: Tune) -> None:
    someone = tune()
    expect(someone.undo_all).to_be_disabled()
    before = laid_out(someone.page.locator(".st-key-settings"))
    someone.warm("ArrowRight", "ArrowRight")
    expect(someone.back("temperature")).to_have_text("undo 0.70")
    expect(someone.back("top_p")).to_have_count(0)
    assert laid_out(someone.page.locator(".st-key-settings")) == before, "nothing jumps"
    someone.picture("settings-changed")
    someone.back("temperature").click()
    expect(someone.back("temperature")).to_have_count(0)
    expect(someone.temperature).to_have_value("0.7")
    expect(someone.undo_all).to_be_disabled()

    # One's own preset is there after a reload, and can be deleted and had back.
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
    someone.open_presets()
    someone.button("preset_delete_0").click()
    assert someone.complaints == []


def test_what_the_model_does_not_read_is_grey(tune: Tune) -> None:
    someone = tune()
    for number in range(3):
        someone.ask(f"{number} " + "x" * 500)
        someone.sees(f"{number} xxx")
        someone.ends()
    someone.unfold()
    someone.pick("context_policy", "Leave out the oldest turns")
    grey = someone.chat.locator('[class*="st-key-unread_"]')
    expect(grey.first).to_contain_text("0 xxx")
    expect(someone.page.locator(".st-key-left_out_line")).to_contain_text("does not read")
    assert float(grey.first.evaluate("e => getComputedStyle(e).opacity")) < 0.6
    someone.picture("left-out")


@pytest.mark.parametrize(("language", "scheme"), [("en-US", "dark"), ("zh-CN", "light")])
def test_the_panel_fits_a_phone(tune: Tune, language: str, scheme: str) -> None:
    someone = tune(**PHONE, locale=language, color_scheme=scheme)
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
