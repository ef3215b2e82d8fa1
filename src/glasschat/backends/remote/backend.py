"""The backend whose replies another server writes, over OpenAI's chat completions API."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from glasschat import __version__
from glasschat.backends.base import Capability, Description, Readiness
from glasschat.backends.provenance import Provenance
from glasschat.backends.remote.client import Patience
from glasschat.backends.remote.connection import Reached, ServerConnection
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

PATIENCE = Patience()

AT_ONCE_S = 1.0
"""What a server refuses within this time was never begun; later it is a reply that failed."""

# What no server tells enough for, whatever its kind.
_OURS_ALONE = frozenset(
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
    """Implements Backend in front of any server with OpenAI's interface.

    Safe to use from any thread. Once the server was found it stays ready: while it cannot be
    reached, replies fail with the reason, and `describe` has it too.
    """

    def __init__(self, options: RemoteOptions, *, patience: Patience = PATIENCE) -> None:
        self._options = options
        self._connection = ServerConnection(options, patience)
        self._accepted = AcceptedFields()
        self._manners_of: Dialect | None = None

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
        """Return what is known of the server. If it was found, `error` is why it cannot be reached."""
        reached, trouble = self._connection.reached, self._connection.trouble
        if reached is None:
            name = self._options.model or self._options.address.host
            return Description(Readiness.LOADING, name, error=trouble)
        found = reached.found
        return Description(
            Readiness.READY,
            found.name,
            detail=found.dialect.name,
            context=found.context,
            slots=found.slots,
            progress=1.0,
            error=trouble,
            provenance=Provenance(versions={"glasschat": __version__, **found.versions}),
            missing=self._missing(found.dialect),
            not_taken=found.dialect.not_taken,
        )

    def _missing(self, dialect: Dialect) -> frozenset[Capability]:
        missing = {*_OURS_ALONE}
        if dialect.go_on is None:
            missing.add(Capability.GO_ON)
        if not dialect.tells_logprobs or self._accepted.top_logprobs is None:
            missing.add(Capability.LOGPROBS)
        return frozenset(missing)

    def settle(self, params: SamplingParams) -> SamplingParams:
        """Return the settings with those off that do nothing at this server."""
        reached = self._connection.reached
        return params if reached is None else effective_params(params, reached.found.dialect)

    def fit(
        self,
        messages: Sequence[ChatMessage],
        params: SamplingParams,
        policy: ContextPolicy = ContextPolicy.REFUSE,
    ) -> RemotePrompt:
        """Return the prompt that the context holds of `messages`. Raises PromptError, RemoteError."""
        return self._connection.require().fitter.fit(messages, params, policy)[1]

    def measure(self, messages: Sequence[ChatMessage]) -> int:
        """Return the tokens of a prompt: counted by servers that do, else estimated."""
        asked = list(messages)
        if not any(message.role == "user" for message in asked):
            asked.append(ChatMessage("user", ""))
        return self._connection.require().counts.of(asked).tokens

    def start(
        self,
        messages: Sequence[ChatMessage],
        params: SamplingParams,
        *,
        policy: ContextPolicy = ContextPolicy.REFUSE,
        start_options: StartOptions = DEFAULT_START,
    ) -> RemoteReply:
        """Start a reply. Raises what the server refuses within a second; later the reply fails."""
        reached = self._connection.require()
        if start_options != DEFAULT_START:
            what = Message("take tokens by hand") if start_options.forced else Message("pause")
            raise RemoteRefused(
                "a reply that another server writes cannot {what}: load the model here for that",
                what=what,
            )
        if params.own_stages:
            # The server might take the settings; the stage's code is on this machine.
            raise StageNotHere(params.own_stages[0].name)
        found, dialect = reached.found, reached.found.dialect
        goes_on = bool(messages) and messages[-1].role == "assistant"
        if goes_on and dialect.go_on is None:
            raise RemoteRefused(
                "{address} cannot go on with a reply that was cut, as far as is known of {name}: "
                "press Again, or say with --remote-kind what it is",
                address=self._options.address,
                name=dialect.name,
            )
        kept, prompt = reached.fitter.fit(messages, params, policy)
        params = effective_params(params, dialect)
        limit = reached.fitter.room(prompt, params)

        def body(manners: AcceptedFields) -> dict[str, Any]:
            return request_body(
                kept,
                params,
                dialect,
                manners,
                model=found.model,
                limit=limit,
                context=found.context,
            )

        if self._manners_of is not dialect:
            self._accepted, self._manners_of = AcceptedFields(), dialect
        body(self._accepted)  # What cannot be sent is raised here.
        earlier = kept[-1].text if goes_on else ""
        reply = RemoteReply(prompt, lambda: work.cancel(), seed=params.seed, earlier=earlier)
        stream = ReplyStream(
            self._connection.client, reply, body, self._accepted, self._remember, model=found.model
        )
        work = self._connection.loop.submit(stream.run())
        work.add_done_callback(lambda _: self._over(reached, kept, reply, stream))
        with suppress(TimeoutError):
            stream.accepted.result(AT_ONCE_S)
        return reply

    def text_of(self, ids: Sequence[int]) -> str:
        """Raise RemoteRefused: no server has an API that decodes its tokens for a chat."""
        raise RemoteRefused(
            "{address} tells no token ids: load the model here to take another token",
            address=self._options.address,
        )

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def _over(
        self,
        reached: Reached,
        messages: Sequence[ChatMessage],
        reply: RemoteReply,
        stream: ReplyStream,
    ) -> None:
        reply.writer.finish(FinishReason.CANCELLED)  # One that was cancelled before it began.
        snapshot, prompt_tokens = reply.snapshot(), reply.counted.prompt
        reached.counts.learn(
            messages, prompt_tokens, snapshot.text, snapshot.usage.completion_tokens
        )
        if isinstance(stream.failure, RemoteError):
            self._connection.mark_lost()

    def _remember(self, manners: AcceptedFields) -> None:
        self._accepted = manners
