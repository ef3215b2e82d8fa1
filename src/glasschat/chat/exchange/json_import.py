"""The import of chats that `json_export.py` wrote, by this version or another.

The models give the fields in the order in which they are checked: the first that is wrong is
reported.
"""

from itertools import islice
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, FailFast, PlainValidator

from glasschat.chat.exchange.field_types import LATEST_MS, Ids, Number, Text, Whole
from glasschat.chat.exchange.file_model import (
    FileModel,
    at_most,
    build_value,
    check_object,
    read_as,
    refused,
    validate,
)
from glasschat.chat.exchange.json_export import VERSION
from glasschat.chat.exchange.report import Imported, Skips
from glasschat.chat.node import LONGEST_ID, Ending, Node, Origin, Run, TurnRole
from glasschat.chat.params_json import params_from_json
from glasschat.chat.saved import SavedConversation
from glasschat.chat.tree import Tree
from glasschat.engine import Timings, Usage
from glasschat.errors import GlasschatError, InvalidImport
from glasschat.messages import restore_message
from glasschat.sampling import SamplingParams

MOST_CONVERSATIONS = 100_000
MOST_IDS = 2_000_000
MOST_RUNS = 1000
MOST_VERSIONS = 100
LONGEST_TITLE = 1000


def _no_token_id(_: str) -> InvalidImport:
    return InvalidImport("ids holds something that is no token id")


Time = Annotated[int, Whole(LATEST_MS)]
Count = Annotated[int, Whole(2**31 - 1)]
Figure = Annotated[float | None, Number(optional=True)]
OptionalText = Annotated[str | None, Text(optional=True)]
TokenIds = Annotated[
    tuple[int, ...] | None,
    Ids(2**32, MOST_IDS, _no_token_id, optional=True),
]


def from_json(plain: Any) -> Imported:
    """Return the conversations of such a file; what is malformed is left out and reported.

    Raises InvalidImport for a file of a newer version.
    """
    file = validate(ExportFile, plain)
    skips, found = Skips(), list[SavedConversation]()
    for number, item in enumerate(file.conversations, 1):
        try:
            found.append(validate(ExportedConversation, item).build())
        except GlasschatError as error:
            skips.note(f"conversation {number}", error.message)
    return Imported("glasschat", tuple(found), skips.found())


def check_version(version: int) -> int:
    """Return the version of a file, and refuse one that this program does not know yet."""
    if version > VERSION:
        raise refused(
            lambda _: InvalidImport(
                "the file is of version {version} and this glasschat reads up to {newest}: "
                "update it",
                version=version,
                newest=VERSION,
            )
        )
    return version


def _read_params(plain: Any) -> SamplingParams:
    """Return sampling settings; their own class says which values they may have."""
    return build_value(lambda: params_from_json(check_object(plain, "params")))


def _first_versions(plain: Any) -> dict[str, Any]:
    """Return the first of a reply's versions: no program has more."""
    return dict(islice(check_object(plain, "versions").items(), MOST_VERSIONS))


def _check_ending(ending: str | None) -> Ending | None:
    """Return why a run ended, None while it is being written."""
    if ending is not None and ending not in list(Ending):
        raise refused(
            lambda _: InvalidImport(
                "a run ends by {endings}, not {ending}",
                endings=", ".join(Ending),
                ending=repr(ending[:80]),
            )
        )
    return None if ending is None else Ending(ending)


def _check_title(title: str) -> str:
    """Return a title, and refuse one that is longer than any page shows."""
    if len(title) > LONGEST_TITLE:
        raise refused(
            lambda _: InvalidImport(
                "a title has at most {longest_title:,} characters", longest_title=LONGEST_TITLE
            )
        )
    return title


def _check_id(conversation_id: str) -> str:
    """Return the id of a conversation, and refuse one that no address holds."""
    if not 0 < len(conversation_id) <= LONGEST_ID:
        raise refused(
            lambda _: InvalidImport("an id has 1 to {longest_id} characters", longest_id=LONGEST_ID)
        )
    return conversation_id


Version = Annotated[int, Whole(2**31), AfterValidator(check_version)]
Params = Annotated[SamplingParams, PlainValidator(_read_params)]


class ExportFile(FileModel):
    """A file of `json_export.py`, its conversations not looked at yet."""

    version: Version
    conversations: Annotated[list[Any], at_most(MOST_CONVERSATIONS)]


class ExportedOrigin(FileModel):
    """The origin of a reply: model, template and versions that it was written with."""

    label = "origin"

    versions: Annotated[dict[Any, Annotated[str, Text()]], BeforeValidator(_first_versions)]
    model: Annotated[str, Text()]
    model_fingerprint: Annotated[str, Text()]
    template_fingerprint: Annotated[str, Text()]

    def build(self) -> Origin:
        """Return the origin as the chat has it."""
        return Origin(
            self.model, self.model_fingerprint, self.template_fingerprint, dict(self.versions)
        )


class ExportedUsage(FileModel):
    """The tokens that a run has read and written."""

    label = "usage"

    prompt_tokens: Count
    cached_tokens: Count
    completion_tokens: Count

    def build(self) -> Usage:
        """Return the usage as the chat has it."""
        return Usage(self.prompt_tokens, self.cached_tokens, self.completion_tokens)


class ExportedTimings(FileModel):
    """The speed of a run, as far as it was measured."""

    label = "timings"

    ttft_s: Figure
    prefill_tps: Figure
    decode_tps: Figure

    def build(self) -> Timings:
        """Return the timings as the chat has them."""
        return Timings(self.ttft_s, self.prefill_tps, self.decode_tps)


class ExportedRun(FileModel):
    """One run of generation, which wrote a reply or a part of it."""

    label = "a run"

    ending: Annotated[Ending | None, Text(optional=True), AfterValidator(_check_ending)]
    params: Params
    origin: Annotated[Origin, read_as(ExportedOrigin, ExportedOrigin.build)]
    first_token: Count
    created: Time
    error: OptionalText
    message: Any
    seed: Annotated[int | None, Whole(2**64 - 1, optional=True)]
    usage: Annotated[Usage, read_as(ExportedUsage, ExportedUsage.build)]
    timings: Annotated[Timings, read_as(ExportedTimings, ExportedTimings.build)]

    def build(self) -> Run:
        """Return the run, its error with template and values where the file has them."""
        fields = dict(self)
        message, error = fields.pop("message"), fields.pop("error")
        return Run(**fields, error=None if error is None else restore_message(error, message))


RunField = Annotated[Run, read_as(ExportedRun, ExportedRun.build)]


class ExportedTurn(FileModel):
    """A turn. `open` is the id of the child that the open path leads through."""

    label = "a turn"

    role: Annotated[TurnRole, Text()]
    id: Annotated[str, Text()]
    parent: OptionalText
    text: Annotated[str, Text()]
    ids: TokenIds
    created: Time
    runs: Annotated[list[RunField], FailFast(), at_most(MOST_RUNS)]
    open: OptionalText

    def build(self) -> tuple[Node, str | None]:
        """Return the turn and its open child. Raises InvalidMessage for what no turn can be."""
        node = Node(
            self.id,
            self.parent,
            self.role,
            self.text,
            self.ids,
            self.created,
            tuple(self.runs),
        )
        return node, self.open


TurnField = Annotated[tuple[Node, str | None], read_as(ExportedTurn, ExportedTurn.build)]


class ExportedConversation(FileModel):
    """A conversation with all of its turns. `open` is the first turn of the open path."""

    label = "a conversation"

    open: OptionalText
    turns: Annotated[list[TurnField], FailFast(), at_most()]
    id: Annotated[str, Text(), AfterValidator(_check_id)]
    title: Annotated[str, Text(), AfterValidator(_check_title)]
    pinned: Any
    created: Time
    updated: Time
    system: Annotated[str, Text()]
    params: Params | None

    def build(self) -> SavedConversation:
        """Return the conversation. Raises InvalidMessage and InvalidImport for what is no tree."""
        nodes = tuple(node for node, _ in self.turns)
        chosen: dict[str | None, str] = {} if self.open is None else {None: self.open}
        chosen |= {node.id: child for node, child in self.turns if child is not None}
        tree = Tree(nodes, chosen)
        for parent, child in chosen.items():
            if child not in tree or tree[child].parent != parent:
                raise InvalidImport(
                    "the open turn {child} is not where it is said to be", child=repr(child[:80])
                )
        return SavedConversation(
            id=self.id,
            title=self.title,
            pinned=self.pinned is True,
            created=self.created,
            updated=self.updated,
            system=self.system,
            params=self.params,
            tree=tree,
        )
