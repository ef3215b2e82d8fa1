"""What a visitor does with the settings and the language, whichever that is."""

from playwright.sync_api import Locator, expect

from tests.e2e.visitor import Visitor


class Tuner(Visitor):
    """A visitor who looks at keys, not at words."""

    @property
    def input(self) -> Locator:
        """Where messages are typed."""
        return self.page.locator('[data-testid="stChatInput"] textarea')

    @property
    def preset(self) -> Locator:
        """The chosen preset."""
        return self.page.locator(".st-key-preset input")

    @property
    def temperature(self) -> Locator:
        """The slider."""
        return self.page.locator(".st-key-temperature").get_by_role("slider")

    @property
    def undo_all(self) -> Locator:
        """The button that puts all settings back."""
        return self.button("preset_back")

    def button(self, key: str) -> Locator:
        """The button of that key. One with a help text is there twice, once hidden."""
        return self.page.locator(f".st-key-{key} button:visible").first

    def back(self, setting: str) -> Locator:
        """What the preset has instead of what the setting is now."""
        return self.page.locator(f".st-key-back_{setting} button:visible")

    def settles(self) -> None:
        """Wait until what was changed has been told, and the page been drawn."""
        self.page.wait_for_timeout(300)
        super().settles()

    def choose_preset(self, name: str) -> None:
        """Pick one from the list of presets."""
        self.pick("preset", name)

    def pick(self, key: str, name: str) -> None:
        """Pick something from a list."""
        box = self.page.locator(f".st-key-{key} input")
        # A list closes when what is behind it scrolls.
        box.scroll_into_view_if_needed()
        self.page.wait_for_timeout(300)
        box.click()
        self.page.get_by_role("option", name=name, exact=True).click()
        self.settles()

    def warm(self, *keys: str) -> None:
        """Move the temperature by keys of the keyboard."""
        self.temperature.focus()
        for key in keys:
            self.temperature.press(key)
        self.settles()

    def number(self, key: str) -> Locator:
        """The box of a setting that is a number."""
        return self.page.locator(f".st-key-{key} input")

    def enter(self, key: str, text: str) -> None:
        """Type into a box and leave it."""
        box = self.page.locator(f".st-key-{key} :is(input, textarea)")
        box.fill(text)
        box.press("Control+Enter" if key in ("stop", "system") else "Enter")
        self.settles()

    def unfold(self) -> None:
        """Show the rest of the settings."""
        self.page.locator(".st-key-more summary").click()
        expect(self.number("seed")).to_be_visible()
        self.settles()

    def open_presets(self) -> Locator:
        """The dialog of one's own presets."""
        self.button("presets_open").click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        return dialog

    def save_preset(self, name: str) -> None:
        """Save the settings as they are."""
        dialog = self.open_presets()
        dialog.locator(".st-key-preset_name input").fill(name)
        self.button("preset_save").click()
        expect(dialog).to_have_count(0)
        self.settles()

    def speak(self, language: str) -> None:
        """Use the switch."""
        self.page.locator(".st-key-language").get_by_text(language, exact=True).click()
        self.settles()
