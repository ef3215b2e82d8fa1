"""Several models on one page: chosen, asked the same, and found again with their chats."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from glasschat.backends.remote import Address, RemoteBackend, RemoteOptions
from glasschat.chat import Library
from glasschat.chat.user_presets import UserPresets
from glasschat.web.site import Site
from tests.support.fake_remote import FakeRemote, fake_remote, models, replying
from tests.web.conftest import Visit


@pytest.fixture
def remotes() -> Iterator[tuple[Site, FakeRemote, FakeRemote]]:
    """A site before two servers, and these."""
    with ExitStack() as stack:
        first = stack.enter_context(fake_remote(replying("I am the first.")))
        second = stack.enter_context(fake_remote(replying("I am the second."), owner="vllm"))
        second.scripts["/v1/models"] = models("large", owner="vllm")
        backends = []
        for remote, key in ((first, None), (second, "sk-cellar")):
            options = RemoteOptions(address=Address.parse(remote.url), key=key)
            backends.append(stack.enter_context(RemoteBackend(options)))
            backends[-1].load()
        others = {"cellar": backends[1]}
        yield Site(backends[0], Library(), UserPresets(), others=others), first, second


def test_several_servers_are_offered_at_once(
    remotes: tuple[Site, FakeRemote, FakeRemote], visit: Visit
) -> None:
    """Chosen in the sidebar; another may answer the same question, beside the first answer."""
    site, first, second = remotes
    page = visit(at=site)
    assert page.widget("backend").options == ["tiny", "large (cellar)"]
    page.ask("Who are you?")
    assert page.path[-1] == "I am the first."
    page.choose("backend", "cellar")
    assert "vLLM" in page.text
    page.act(page.conversation.tree.path[-1].id, "again")
    assert page.path[-1] == "I am the second."
    bar = page.toolbar(page.conversation.tree.path[-1].id)
    assert (bar["at"], bar["of"]) == (2, 2)
    assert second.chats()[-1]["model"] == "large"
    assert second.asked[-1].headers["authorization"] == "Bearer sk-cellar"
    assert all("authorization" not in asked.headers for asked in first.asked)
    again = visit(at=site, chat=page.state["chat"])
    assert again.widget("backend").value == "cellar", "it goes on with what wrote it last"
    assert "vLLM" in again.text


def test_with_one_model_there_is_nothing_to_choose(visit: Visit) -> None:
    assert not visit().has("backend")


def test_a_setting_that_the_server_does_not_take_is_named(
    remotes: tuple[Site, FakeRemote, FakeRemote], visit: Visit
) -> None:
    site, _first, _second = remotes
    page = visit(at=site)
    not_taken = site.backend.describe().not_taken
    assert "no_repeat_ngram_size" in not_taken
    assert page.widget("no_repeat_ngram_size").disabled
    start = "does not take these settings, so they do nothing:"
    assert f"{start} Repetition penalty 1.005." in page.text
    page.state["no_repeat_ngram_size"] = 3
    page.run()
    assert f"{start} Repetition penalty 1.005, No repeated runs of 3." in page.text
