"""The backend whose replies another server writes, over OpenAI's chat completions API."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from glasschat import __version__
from glasschat.backends.base import Capability, Description, Readiness
from glasschat.backends.provenance import Provenance
from glasschat.backends.remote.client import Timeouts
from glasschat.backends.remote.connection import KnownServer, ServerConnection
from glasschat.backends.remote.dialect import Dialect
from glasschat.backends.remote.options import RemoteOptions
from glasschat.backends.remote.reply import RemotePrompt, RemoteReply
from glasschat.backends.remote.request import AcceptedFields, effective_params, request_body
from glasschat.backends.remote.stream import ReplyStream
from glasschat.engine import DEFAULT_START, FinishReason, StartOptions
from glasschat.errors import RemoteError, RemoteRefused, StageNotHere
from glasschat.messages import Message
from glasschat.prompt import ChatMessage, ContextPolicy
from glasschat.sampling import SamplingParams

TIMEOUTS = Timeouts()

REFUSAL_WAIT_S = 1.0
"""Seconds that `start` waits for a refusal, to raise it; a later one fails the reply."""

# No server, whatever its kind, sends enough for these.
_LOCAL_ONLY = frozenset(
    {
        Capability.STAGES,
        Capability.DRAW,
        Capability.WHAT_IF,
        Capability.BRANCHING,
        Capability.DEBUGGER,
        Capability.PROMPT_TOKENS,
    }
)


class RemoteBackend:
    """Implements Backend in front of any server with OpenAI's API.

    Safe to use from any thread. Once the server was found it stays ready: while it cannot be
    reached, replies fail with the reason, and `describe` has it too.
    """

    def __init__(self, options: RemoteOptions, *, timeouts: Timeouts = TIMEOUTS) -> None:
        self._options = options
        self._connection = ServerConnection(options, timeouts)
        self._accepted = AcceptedFields()
        self._accepted_dialect: Dialect | None = None

    def __enter__(self) -> "RemoteBackend":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self) -> None:
        """Look for the server once. Raises RemoteError."""
        self._connection.loop.submit(self._connection.look()).result()

    def load_in_background(self) -> None:
        """Look for the server in another thread, now and again whenever it is lost."""
        self._connection.loop.submit(self._connection.reconnect_forever())

    def describe(self) -> Description:
        """Return what is known of the server.

        `error` of a ready backend is why the server cannot be reached now.
        """
        server, error = self._connection.server, self._connection.error
        if server is None:
            name = self._options.model or self._options.address.host
            return Description(Readiness.LOADING, name, error=error)
        info = server.info
        return Description(
            Readiness.READY,
            info.name,
            detail=info.dialect.name,
            context=info.context,
            slots=info.slots,
            progress=1.0,
            error=error,
            provenance=Provenance(versions={"glasschat": __version__, **info.versions}),
            missing=self._missing(info.dialect),
            not_taken=info.dialect.not_taken,
        )

    def _missing(self, dialect: Dialect) -> frozenset[Capability]:
        missing = {*_LOCAL_ONLY}
        if dialect.continue_fields is None:
            missing.add(Capability.GO_ON)
        if not dialect.has_logprobs or self._accepted.top_logprobs is None:
            missing.add(Capability.LOGPROBS)
        return frozenset(missing)

    def settle(self, params: SamplingParams) -> SamplingParams:
        """Return the settings with those off that do nothing at this server."""
        server = self._connection.server
        return params if server is None else effective_params(params, server.info.dialect)

    def fit(
        self,
        messages: Sequence[ChatMessage],
        params: SamplingParams,
        policy: ContextPolicy = ContextPolicy.REFUSE,
    ) -> RemotePrompt:
        """Return the prompt of `messages` as it fits into the context.

        Raises PromptError, RemoteError.
        """
        return self._connection.require().fitter.fit(messages, params, policy)[1]

    def measure(self, messages: Sequence[ChatMessage]) -> int:
        """Return the tokens of a prompt: counted by servers that do, else estimated."""
        measured = list(messages)
        if not any(message.role == "user" for message in measured):
            measured.append(ChatMessage("user", ""))
        return self._connection.require().counts.of(measured).tokens

    def start(
        self,
        messages: Sequence[ChatMessage],
        params: SamplingParams,
        *,
        policy: ContextPolicy = ContextPolicy.REFUSE,
        start_options: StartOptions = DEFAULT_START,
    ) -> RemoteReply:
        """Start a reply. Raises what the server refuses within a second; later the reply fails."""
        server = self._connection.require()
        if start_options != DEFAULT_START:
            what = Message("take tokens by hand") if start_options.forced else Message("pause")
            raise RemoteRefused(
                "a reply that another server writes cannot {what}: load the model here for that",
                what=what,
            )
        if params.own_stages:
            # The server might take the settings; the stage's code is on this machine.
            raise StageNotHere(params.own_stages[0].name)
        info, dialect = server.info, server.info.dialect
        goes_on = bool(messages) and messages[-1].role == "assistant"
        if goes_on and dialect.continue_fields is None:
            raise RemoteRefused(
                "{address} cannot go on with a reply that was cut, as far as is known of {name}: "
                "press Again, or say with --remote-kind what it is",
                address=self._options.address,
                name=dialect.name,
            )
        kept, prompt = server.fitter.fit(messages, params, policy)
        params = effective_params(params, dialect)
        limit = server.fitter.room(prompt, params)

        def body(accepted_fields: AcceptedFields) -> dict[str, Any]:
            return request_body(
                kept,
                params,
                dialect,
                accepted_fields,
                model=info.model,
                limit=limit,
                context=info.context,
            )

        if self._accepted_dialect is not dialect:
            self._accepted, self._accepted_dialect = AcceptedFields(), dialect
        body(self._accepted)  # What cannot be sent is raised here.
        earlier = kept[-1].text if goes_on else ""
        reply = RemoteReply(prompt, lambda: work.cancel(), seed=params.seed, earlier=earlier)
        stream = ReplyStream(
            self._connection.client, reply, body, self._accepted, self._remember, model=info.model
        )
        work = self._connection.loop.submit(stream.run())
        work.add_done_callback(lambda _: self._finish(server, kept, reply, stream))
        with suppress(TimeoutError):
            stream.accepted.result(REFUSAL_WAIT_S)
        return reply

    def text_of(self, ids: Sequence[int]) -> str:
        """Raise RemoteRefused: no server has an API that decodes its tokens for a chat."""
        raise RemoteRefused(
            "{address} tells no token ids: load the model here to take another token",
            address=self._options.address,
        )

    def close(self) -> None:
        """Close all connections to the server."""
        self._connection.close()

    def _finish(
        self,
        server: KnownServer,
        messages: Sequence[ChatMessage],
        reply: RemoteReply,
        stream: ReplyStream,
    ) -> None:
        reply.writer.finish(FinishReason.CANCELLED)  # A reply that was cancelled before it began.
        snapshot, prompt_tokens = reply.snapshot(), reply.counts.prompt
        server.counts.learn(
            messages, prompt_tokens, snapshot.text, snapshot.usage.completion_tokens
        )
        if isinstance(stream.failure, RemoteError):
            self._connection.mark_lost()

    def _remember(self, accepted_fields: AcceptedFields) -> None:
        self._accepted = accepted_fields
