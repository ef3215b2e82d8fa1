"""The chat page in this process: Streamlit's AppTest, and what AppTest does not have.

A run of the page draws it, watches a reply to its end, and draws it again, so a test sees the page
as it is in the end; `PageSession.seen` has what was sent to the browser meanwhile. Components that
are written in JavaScript are not there: their data is, and `trigger` does what they would.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from streamlit.components.v2.bidi_component.main import _make_trigger_id
from streamlit.runtime.scriptrunner import ScriptRunnerEvent
from streamlit.testing.v1 import AppTest, app_test
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from glasschat.web import page
from glasschat.web.access import AccessPolicy, LocalAccess, set_access_policy
from glasschat.web.language import Language, speaking
from glasschat.web.site import Site, set_site

TIMEOUT_S = 60.0


class _RecordingRunner(LocalScriptRunner):
    """Runner of AppTest that keeps all that it sends to the browser, in `messages`."""

    messages: list[Any] = []  # noqa: RUF012 - AppTest makes the runner, so the class holds it

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)

        def keep(_sender: Any, event: ScriptRunnerEvent, **values: Any) -> None:
            if event is ScriptRunnerEvent.ENQUEUE_FORWARD_MSG:
                _RecordingRunner.messages.append(values["forward_msg"])

        self.on_event.connect(keep, weak=False)


class PageSession:
    """One visitor's session on the page of `site`. The page has not been drawn before `run`."""

    def __init__(
        self,
        site: Site,
        *,
        locale: str = "en-US",
        access: AccessPolicy | None = None,
        chat: str = "",
    ) -> None:
        self.site = site
        self.access = access or LocalAccess()
        self.app = AppTest.from_file(page.__file__, default_timeout=TIMEOUT_S)
        self.app.context = {"locale": locale, "timezone": "UTC"}
        if chat:
            self.app.query_params["chat"] = chat
        self.sent: list[Any] = []

    def run(self) -> "PageSession":
        """Draw the page, with what was done to its widgets."""
        set_site(self.site)
        set_access_policy(self.access)
        _RecordingRunner.messages = self.sent = []
        try:
            # AppTest reads the words of lists here, where no visitor's language is known.
            drawn_in = self.state.get("language") or Language.ENGLISH
            with patch.object(app_test, "LocalScriptRunner", _RecordingRunner), speaking(drawn_in):
                self.app.run()
        finally:
            set_access_policy(LocalAccess())
        assert not self.app.exception, self.app.exception
        return self

    # --- what is on the page --------------------------------------------------------------

    @property
    def state(self) -> Any:
        """The session state."""
        return self.app.session_state

    @property
    def text(self) -> str:
        """All that can be read on the page, a line for each element."""
        found = (_texts(proto) for node in self._nodes() if (proto := getattr(node, "proto", None)))
        return "\n".join(text for text in found if text)

    @property
    def seen(self) -> str:
        """All that could be read during the last run, also what was replaced before its end."""
        deltas = (message.delta for message in self.sent if message.WhichOneof("type") == "delta")
        elements = (delta.new_element for delta in deltas if delta.HasField("new_element"))
        return "\n".join(
            _texts(getattr(element, element.WhichOneof("type") or "")) for element in elements
        )

    @property
    def notice(self) -> str:
        """What the page said is wrong, during the last run."""
        deltas = (message.delta for message in self.sent if message.WhichOneof("type") == "delta")
        return "\n".join(
            delta.new_element.alert.body
            for delta in deltas
            if delta.new_element.WhichOneof("type") == "alert"
        )

    @property
    def keys(self) -> list[str]:
        """The keys of all widgets, components and containers that are drawn, in their order."""
        return [key for node in self._nodes() if (key := getattr(node, "key", None))]

    def has(self, key: str) -> bool:
        """Tell whether a widget, a component or a container of that key is drawn."""
        return key in self.keys

    def widget(self, key: str) -> Any:
        """Return the widget or component of that key. Raises AssertionError."""
        found = [node for node in self._nodes() if getattr(node, "key", None) == key]
        assert len(found) == 1, f"{len(found)} of {key!r} are drawn"
        return found[0]

    def data(self, key: str) -> Any:
        """Return what a component was given."""
        return json.loads(self.widget(key).proto.json)

    def toolbar(self, turn_id: str) -> dict[str, Any]:
        """Return what stands in the line under a turn."""
        found: dict[str, Any] = self.data(f"bar_{turn_id}")
        return found

    def actions(self, turn_id: str) -> list[str]:
        """Return the names of what can be done with a turn."""
        return [action for action, _label in self.toolbar(turn_id)["actions"]]

    @property
    def path(self) -> list[str]:
        """The texts of the turns of the open conversation."""
        return [node.text for node in self.conversation.tree.path]

    @property
    def conversation(self) -> Any:
        """The open conversation."""
        found = self.site.library.find(self.access_owner, self.state["chat"])
        assert found is not None
        return found

    access_owner = "local"

    # --- what a visitor does --------------------------------------------------------------

    def ask(self, text: str) -> None:
        """Send a message, and wait for the reply."""
        self.app.chat_input[0].set_value(text)
        self.run()

    def click(self, key: str) -> None:
        """Click a button."""
        self.widget(key).click()
        self.run()

    def set(self, **values: Any) -> None:
        """Set widgets by their keys, and draw the page."""
        for key, value in values.items():
            self.widget(key).set_value(value)
        self.run()

    def choose(self, key: str, value: Any) -> None:
        """Choose something from a list or a menu, by its value."""
        self.widget(key).set_value(value)
        self.run()

    def trigger(self, key: str, event: str, value: Any) -> None:
        """Do what the script of a component does when something is clicked in it."""
        element, tree = self.widget(key), self.app._tree
        states = tree.get_widget_states

        def with_trigger() -> Any:
            found = states()
            state = found.widgets.add()
            state.id = _make_trigger_id(element.proto.id, "events")
            state.json_trigger_value = json.dumps([{"event": event, "value": value}])
            return found

        tree.get_widget_states = with_trigger  # type: ignore[method-assign]
        self.run()

    def act(self, turn_id: str, action: str) -> None:
        """Click an action in the line under a turn."""
        self.trigger(f"bar_{turn_id}", "act", action)

    def press(self, shortcut: str) -> None:
        """Press a key of `keys.SHORTCUTS`, by its name."""
        self.trigger("keyboard", "pressed", shortcut)

    def _nodes(self) -> Iterator[Any]:
        return iter(self.app._tree)


def _texts(message: Any) -> str:
    """All strings of an element that somebody reads; no ids, no names of formats."""
    readable = ("body", "label", "help", "text", "value", "placeholder", "options", "caption")
    found = []
    for descriptor, value in message.ListFields():
        if descriptor.name not in readable:
            continue
        if isinstance(value, str):
            found += [value] * (not value.startswith("<style>"))
        elif descriptor.name == "options":
            found += [o if isinstance(o, str) else o.content for o in value]
    return "\n".join(found)


def dialog_app(draw: Callable[[], None], *, locale: str = "en-US") -> AppTest:
    """A page that is one dialog, drawn anew with each run as Streamlit does with its fragment."""

    def script(draw: "Callable[[], None]") -> None:  # AppTest runs this source by itself
        draw()

    app = AppTest.from_function(script, default_timeout=TIMEOUT_S, args=(draw,))
    app.context = {"locale": locale, "timezone": "UTC"}
    return app.run()
