"""The panel of settings: presets chosen, settings changed and put back, custom stages."""

from collections.abc import Iterator

import pytest

from glasschat.backends import LocalBackend
from glasschat.chat import Library, Node, SavedConversation
from glasschat.chat.presets import make_preset
from glasschat.chat.tree import Tree
from glasschat.chat.user_presets import UserPresets
from glasschat.sampling import CustomStage, SamplingParams, load_stages
from glasschat.web.site import Site
from tests.support.echo_model import echo_model
from tests.support.pages import PageSession
from tests.web.conftest import Visit

STAGES = [f"tests.support.own_stages:{name}" for name in ("Letters", "Wrong")]


@pytest.fixture(scope="module")
def backend() -> Iterator[LocalBackend]:
    """The echoing model, with two custom stages."""
    with LocalBackend(
        lambda _: echo_model(slots=2), name="scripted", stage_classes=load_stages(STAGES)
    ) as found:
        found.load()
        yield found


def back(page: PageSession, name: str) -> str | None:
    """What the button beside a setting puts back, if there is one."""
    return page.widget(f"back_{name}").label if page.has(f"back_{name}") else None


def unchanged(page: PageSession) -> bool:
    """Whether nothing differs from the preset."""
    return bool(page.widget("preset_back").disabled)


def test_a_changed_setting_shows_what_the_preset_has_and_goes_back(visit: Visit) -> None:
    page = visit()
    assert unchanged(page)
    page.set(temperature=0.72)
    assert back(page, "temperature") == r":primary[:material/undo: 0\.70]"
    assert back(page, "top_p") is None and not unchanged(page)
    page.click("back_temperature")
    assert back(page, "temperature") is None and unchanged(page)
    assert page.widget("temperature").value == 0.7


def test_a_preset_sets_its_settings_and_all_go_back_at_once(visit: Visit) -> None:
    page = visit()
    page.set(seed="7")
    page.choose("preset", "Creative")
    values = {name: page.widget(name).value for name in ("temperature", "min_p", "seed", "top_p")}
    assert values == {"temperature": 1.0, "min_p": 0.05, "seed": "7", "top_p": 1.0}
    page.set(min_p=0.2)
    page.set(top_k=40)
    assert back(page, "min_p") == r":primary[:material/undo: 0\.05]"
    assert "settings differ from Creative" in page.widget("preset_back").help
    page.click("preset_back")
    assert page.widget("min_p").value == 0.05 and page.widget("top_k").value == 0
    page.choose("preset", "Original")
    assert page.widget("temperature").value == 0.7
    assert page.widget("repetition_penalty").value == 1.005


def test_every_setting_reaches_the_reply(visit: Visit) -> None:
    page = visit()
    given = {
        "top_k": 5,
        "min_p": 0.1,
        "typical_p": 0.9,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "no_repeat_ngram_size": 9,
        "min_new_tokens": 1,
        "temperature": 0.5,
        "top_p": 0.5,
        "repetition_penalty": 1.1,
        "max_length": 900,
    }
    page.set(**given, limit_reply=True, seed=" 42 ", stop="!\n\\n\\n", system="Be brief.")
    page.set(max_new_tokens=30)
    page.ask("one ! two")
    params = page.conversation.tree.path[-1].runs[-1].params
    assert {name: getattr(params, name) for name in given} == given
    assert (params.seed, params.stop, params.max_new_tokens) == (42, ("!", "\n\n"), 30)
    assert page.conversation.saved.system == "Be brief."
    page.set(do_sample=False)
    page.ask("three")
    assert page.conversation.tree.path[-1].runs[-1].params.do_sample is False


def test_each_conversation_has_its_own_settings(visit: Visit) -> None:
    page = visit()
    page.choose("preset", "Creative")
    page.set(system="Be brief.")
    page.ask("first")
    first = page.state["chat"]
    page.click("new_chat")
    assert page.widget("temperature").value == 1.0, "how tokens are chosen is the visitor's taste"
    assert page.widget("system").value == "", "what the model is told is the conversation's"
    page.choose("preset", "Precise")
    page.set(temperature=0.21)
    page.ask("second")
    second = page.state["chat"]
    page.click(f"open_{first}")
    assert page.widget("preset").value == "Creative" and page.widget("temperature").value == 1.0
    assert page.widget("system").value == "Be brief."
    page.click(f"open_{second}")
    assert page.widget("temperature").value == 0.21
    other = visit(chat=first)
    assert other.widget("temperature").value == 1.0, "a reload finds them too"


def test_a_full_context_leaves_out_the_oldest_turns_where_one_wants_that(visit: Visit) -> None:
    page = visit()
    for number in range(3):
        page.ask(f"{number} " + "x" * 500)
    page.ask("refused " + "y" * 1500)
    assert "shorten it by" in page.notice and len(page.path) == 6
    page.choose("context_policy", "leave_out_oldest")
    # What the model does not read is marked, and a line stands where it begins to read.
    unread = [key for key in page.keys if key.startswith("unread_")]
    assert unread and page.has("left_out_line")
    assert page.keys.index("left_out_line") > page.keys.index(unread[-1])
    assert "The context is full: the model does not read" in page.text
    page.ask("taken " + "y" * 1500)
    assert page.notice == "" and len(page.path) == 8


def test_ones_own_preset_is_offered_and_widens_the_slider(site: Site, visit: Visit) -> None:
    site.presets.save("local", make_preset("calm *one*", SamplingParams(temperature=1.5)))
    page = visit()
    assert page.widget("temperature").max == 1.0, "as the original has it"
    page.choose("preset", "calm *one*")
    assert page.widget("temperature").value == 1.5 and page.widget("temperature").max == 1.5
    assert unchanged(page)
    page.choose("preset", "Precise")
    assert page.widget("temperature").max == 1.5, "a slider of another length begins anew"
    assert page.widget("temperature").value == 0.2


def test_a_custom_stage_is_switched_set_and_kept(visit: Visit) -> None:
    page = visit()
    assert page.widget("own.letters").label == r"Fewer \*letters\*", "nothing in it is Markdown"
    assert not page.has("own.letters.by")
    page.set(**{"own.letters": True})
    assert back(page, "own_letters") == ":primary[:material/undo: off]" and not unchanged(page)
    by = page.widget("own.letters.by")
    assert (by.value, by.label, by.min, by.max, by.step) == (2.0, "How much", 0.0, 50.0, 0.5)
    page.set(**{"own.letters.by": 50.0})
    assert back(page, "own_letters_by") == r":primary[:material/undo: 2\.00]"
    page.set(**{"own.letters.spare": "ab"})
    page.ask("abc")
    assert page.path[-1].startswith("ab") and "c" not in page.path[-1]
    first = page.state["chat"]
    page.set(**{"own.wrong": True})
    page.ask("second")
    assert "The stage wrong failed: KeyError" in page.notice
    page.click("preset_back")
    assert not page.has("own.letters.by")
    other = visit(chat=first)
    assert other.widget("own.letters.by").value == 50.0


def test_a_stage_that_is_not_here_is_named_and_can_be_given_up(site: Site, visit: Visit) -> None:
    """A conversation came with a stage that this server does not have."""
    saved = SavedConversation(
        title="elsewhere",
        params=SamplingParams(own_stages=(CustomStage.of("gone", "warper", {"by": 0.5}),)),
        tree=Tree(
            (Node("q", None, "user", "hi"), Node("a", "q", "assistant", "written there")),
            {None: "q", "q": "a"},
        ),
    )
    page = visit(chat=site.library.add("local", saved))
    assert page.path == ["hi", "written there"]
    assert "It is not on this server: turn it off to go on." in page.text
    page.ask("more")
    assert "The stage gone is not here: turn it off" in page.notice
    page.set(**{"own.gone": False})
    assert not page.has("own.gone")
    page.ask("more")
    assert page.path[-1] == "more"


def test_without_a_place_for_presets_the_built_in_ones_are_there(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glasschat.errors import StoreUnavailable

    def locked(_self: UserPresets, _owner: str) -> None:
        raise StoreUnavailable("the database is locked")

    monkeypatch.setattr(UserPresets, "presets", locked)
    page = PageSession(Site(backend, Library(), UserPresets())).run()
    assert page.widget("preset").options == ["Original", "Precise", "Creative"]
    page.click("presets_open")
    assert "database is locked" in page.notice
