"""The dialog of one's own presets: saved, refused, shared as files, deleted and had back."""

import json
import re

import pytest
from streamlit.testing.v1 import AppTest

from glasschat.chat.presets import Preset, make_preset
from glasschat.chat.presets_file import presets_as_file
from glasschat.chat.user_presets import UserPresets
from glasschat.sampling import SamplingParams
from glasschat.web.settings import preset_dialog
from glasschat.web.settings.preset_dialog import PresetDialog
from tests.support.pages import dialog_app

ME = "me"


@pytest.fixture(autouse=True)
def no_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest knows no runs of a fragment alone: what asks for one goes on instead."""
    monkeypatch.setattr(preset_dialog.st, "rerun", lambda **_options: None)


class Opened:
    """The dialog, opened by a visitor whose presets are `own`."""

    def __init__(self, *, locale: str = "en-US", name: str = "") -> None:
        self.own = UserPresets()
        self.chosen: list[Preset] = []
        dialog = PresetDialog(self.own, ME, name, 4096, self.chosen.append)
        self.app: AppTest = dialog_app(dialog.draw_body, locale=locale)

    def save(self, name: str) -> None:
        """Save the settings under that name."""
        self.app.text_input("preset_name").set_value(name)
        self.app.button("preset_save").click().run()

    def upload(self, data: bytes) -> None:
        """Bring a file."""
        self.app.file_uploader("presets_file").set_value(("f.json", data, "json")).run()

    @property
    def names(self) -> list[str]:
        return [preset.name for preset in self.own.presets(ME)]


def test_the_settings_as_they_are_are_saved_and_chosen() -> None:
    opened = Opened()
    opened.app.session_state["temperature"] = 0.0
    opened.app.session_state["max_length"] = 4096
    opened.save("calm *one*")
    [saved] = opened.own.presets(ME)
    assert saved == opened.chosen[0] and saved.name == "calm *one*"
    assert saved.value("temperature") == 0.0
    assert saved.value("max_length") == SamplingParams().max_length, "the greatest is no choice"
    opened.app.run()
    captions = [caption.value for caption in opened.app.caption]
    assert r"Temperature 0\.00 · Top P 0\.80 · Repetition penalty 1\.005" in captions[0]


def test_a_name_that_no_preset_can_have_is_refused_and_kept_to_mend() -> None:
    opened = Opened()
    for wrong, said in (("", "1 to 60 printable"), ("precise", "another than that of a built-in")):
        opened.save(wrong)
        assert said in opened.app.error[0].value
        assert opened.app.text_input("preset_name").value == wrong
    assert opened.names == [] and opened.chosen == []


def test_one_is_deleted_and_can_be_had_back() -> None:
    opened = Opened()
    opened.save("mine")
    opened.app.run()
    opened.app.button("preset_delete_0").click().run()
    assert opened.names == []
    text, undo = opened.app.session_state["undo"]
    assert text == "“mine” was deleted."
    undo()
    assert opened.names == ["mine"]


def test_presets_are_shared_as_files() -> None:
    opened = Opened()
    opened.save("for code")
    shared = json.loads(presets_as_file(opened.own.presets(ME)))
    shared["presets"][0]["settings"] |= {"temperature": 1.5, "mirostat": 2}
    shared["presets"].append({"name": "broken", "settings": {"top_p": 9}})
    opened.app.run()
    opened.upload(json.dumps(shared).encode())
    assert opened.app.success[0].value == "Added: for code 2"
    said = "\n".join(caption.value for caption in opened.app.caption).replace("\\", "")
    assert "'mirostat' is no setting of a preset" in said
    assert re.search("top_p must be a number between 0 and 1, and 9 is not", said, re.IGNORECASE)
    assert opened.names == ["for code", "for code 2"]
    opened.app.run()
    assert opened.names == ["for code", "for code 2"], "one file is taken in once"
    downloads = [button.key for button in opened.app.get("download_button")]
    assert downloads == ["preset_download_0", "preset_download_1", "presets_download"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n", "文件不是 UTF-8 文本"),
        (b'{"format": "glasschat"}', "文件中没有预设"),
        (b'{"format": "glasschat presets", "version": 99}', "文件版本为 99"),
    ],
)
def test_a_file_that_is_none_says_so_in_the_visitors_language(content: bytes, said: str) -> None:
    opened = Opened(locale="zh-CN")
    opened.upload(content)
    assert said in opened.app.error[0].value
    assert opened.names == []


def test_a_preset_is_proposed_under_its_own_name() -> None:
    opened = Opened(name="mine")
    assert opened.app.text_input("preset_name").value == "mine"
    opened.own.save(ME, make_preset("other", SamplingParams()))
    opened.save("mine")
    assert opened.names == ["mine", "other"]
