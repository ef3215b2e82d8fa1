"""Visitor of the page without a browser: the page's socket, its input, its event stream."""

import asyncio
import json
import time
from collections.abc import Callable
from random import Random

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.soak.http_client import HOST, Exchange, closing, open_exchange, request
from bench.soak.report import SoakPlan, Tally

_FULL = "requests are waiting"


class PageSession:
    """Session of one page from its opening to its end."""

    def __init__(self, socket: ClientConnection, port: int) -> None:
        self._socket = socket
        self._port = port
        self._input = ""
        self._stop = ""
        self._drawn = False
        self.notices: list[str] = []
        self._live: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Have the page drawn for the first time."""
        await self._rerun(lambda _: None)
        await self.drawn()

    async def ask(self, text: str) -> None:
        """Type a message and send it."""

        def typed(back: BackMsg) -> None:
            widget = back.rerun_script.widget_states.widgets.add()
            widget.id = self._input
            widget.chat_input_value.data = text

        await self._rerun(typed)

    async def press_stop(self) -> bool:
        """Press Stop, if it is there."""
        if not self._stop:
            return False

        def pressed(back: BackMsg) -> None:
            widget = back.rerun_script.widget_states.widgets.add()
            widget.id = self._stop
            widget.trigger_value = True

        await self._rerun(pressed)
        return True

    async def drawn(self) -> None:
        """Wait until the page is drawn to its end: until no reply grows on it any more."""
        while not self._drawn:
            await self._message()

    async def look(self, seconds: float) -> None:
        """Watch the page for so long."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self._message()
        except TimeoutError:
            pass

    def end(self) -> None:
        """Drop the socket and all event streams."""
        for task in self._live:
            task.cancel()
        self._socket.transport.abort()

    async def _rerun(self, fill: Callable[[BackMsg], None]) -> None:
        back = BackMsg()
        back.rerun_script.query_string = ""
        fill(back)
        self.notices.clear()
        self._stop = ""
        self._drawn = False
        await self._socket.send(back.SerializeToString())

    async def _message(self) -> None:
        """Receive and apply one message."""
        forward = ForwardMsg()
        data = await self._socket.recv()
        assert isinstance(data, bytes)
        forward.ParseFromString(data)
        kind = forward.WhichOneof("type")
        if kind == "script_finished":
            # Not early, for a run that comes: while a reply is written, and once it has ended.
            self._drawn = forward.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
        elif kind == "new_session":
            self._drawn = False
        elif kind == "delta" and forward.delta.WhichOneof("type") == "new_element":
            element = forward.delta.new_element
            match element.WhichOneof("type"):
                case "chat_input":
                    self._input = element.chat_input.id
                case "button" if "stop_reply" in element.button.id:
                    self._stop = element.button.id
                case "alert":
                    self.notices.append(element.alert.body)
                case "bidi_component" if element.bidi_component.component_name.endswith("_live"):
                    path = json.loads(element.bidi_component.json)["address"]
                    self._live.add(asyncio.ensure_future(self._watch(path)))

    async def _watch(self, path: str) -> None:
        """Read the growing text, as the page's own script does."""
        exchange: Exchange | None = None
        try:
            exchange = await open_exchange(self._port, request(f"/{path}"))
            with closing(exchange):
                await exchange.answer()
        finally:
            if exchange is not None:
                exchange.leave()


class Visitor:
    """Visitor that opens pages, asks, watches or leaves, and comes again."""

    def __init__(self, number: int, port: int, plan: SoakPlan, tally: Tally) -> None:
        self._name = f"visitor {number}"
        self._port = port
        self._plan = plan
        self._tally = tally
        self._random = Random(f"{plan.seed} visitor {number}")
        self._asked = 0

    async def run(self, until: float) -> None:
        """Visit until that moment of the monotonic clock."""
        while time.monotonic() < until:
            try:
                async with asyncio.timeout(self._plan.patience_s):
                    await self._visit(until)
            except TimeoutError:
                self._tally.record_violation(f"{self._name} waited for a page in vain")
            except (ConnectionClosed, OSError) as error:
                self._tally.record_violation(f"{self._name}: {type(error).__name__}: {error}")
            await asyncio.sleep(self._random.uniform(0.1, 1.0))

    async def _visit(self, until: float) -> None:
        address = f"ws://{HOST}:{self._port}/_stcore/stream"
        socket = connect(
            address,
            origin=f"http://{HOST}:{self._port}",  # type: ignore[arg-type]
            subprotocols=["streamlit"],  # type: ignore[list-item]
            compression=None,
            max_size=None,
        )
        async with socket as connection:
            visit = PageSession(connection, self._port)
            try:
                await visit.open()
                self._tally.count("pages: drawn")
                while time.monotonic() < until and await self._turn(visit):
                    await visit.look(self._random.uniform(0.0, 1.0))
            finally:
                visit.end()

    async def _turn(self, visit: PageSession) -> bool:
        """Ask one question; return whether the visitor still watches afterwards."""
        self._asked += 1
        question = f"What is {self._asked:,} good for, asks {self._name}?"
        await visit.ask(question)
        self._tally.count("pages: questions")
        manner = self._random.random()
        if manner < 0.35:
            await visit.look(self._random.uniform(0.0, 1.5))
            self._tally.count("pages: left while the reply was written, or waited")
            return False
        if manner < 0.55:
            await visit.look(self._random.uniform(0.3, 1.5))
            if await visit.press_stop():
                self._tally.count("pages: stop was pressed")
        await visit.drawn()
        if not visit.notices:
            self._tally.answered.add(question)
        for notice in visit.notices:
            if _FULL in notice:
                self._tally.count("pages: refused, the queue was full")
            else:
                self._tally.record_violation(f"{self._name} read: {notice}")
        return manner < 0.85
