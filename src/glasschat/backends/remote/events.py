"""Server-sent events out of a stream of bytes."""

from glasschat.errors import RemoteRefused

LONGEST = 2 * 2**20
"""Bytes of one event: what is longer is no event of a chat."""


class EventReader:
    """Cuts a stream into its events, by the standard's rules for lines and fields.

    Only their data matters here. An event that the end of the stream cuts off is none.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._after_return = False

    def push(self, chunk: bytes) -> list[str]:
        """The data of the events that `chunk` completes. Raises RemoteRefused for endless ones."""
        if self._after_return and chunk[:1] == b"\n":
            chunk = chunk[1:]
        if chunk:
            self._after_return = chunk[-1:] == b"\r"
        # Lines end with \n, \r or both; a \r at the end of a chunk may be half of both.
        lines = (self._rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop()
        events = [event for line in lines if (event := self._line(line)) is not None]
        if len(self._rest) + self._size > LONGEST:
            raise RemoteRefused(
                f"the server has sent an event of more than {LONGEST // 2**20} MiB, which is no "
                "chat completion: see whether its address is right"
            )
        return events

    def _line(self, line: bytes) -> str | None:
        if not line:
            data, self._data, self._size = self._data, [], 0
            return b"\n".join(data).decode(errors="replace") if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._size += len(value)
        return None
