"""What a branch shares with the reply that it leaves at one of its tokens. Pure functions."""

from dataclasses import replace

from glasschat.chat.node import Ending, Node, Run
from glasschat.errors import InvalidMessage, ParameterError
from glasschat.messages import Message


def check_place(reply: Node, place: int) -> None:
    """Check that a reply has a token number `place`, from 0; the token that ended it counts.

    Raises InvalidMessage for a turn without tokens, ParameterError for a place beyond them.
    """
    if reply.role == "user":
        raise InvalidMessage("a question has no tokens to branch at: edit it instead")
    if reply.ids is None:
        raise InvalidMessage("of this reply only the text is known, not its tokens: ask anew")
    # Whatever else ends a reply of known ids has written no token for it.
    tokens = len(reply.ids) + any(run.ending is Ending.STOP for run in reply.runs[-1:])
    if not tokens:
        raise InvalidMessage("this reply has no tokens: ask anew")
    if not 0 <= place < tokens:
        raise ParameterError(
            "place", Message("from 0 to {tokens:,} in this reply", tokens=tokens - 1), place
        )


def check_text(reply: Node, decoded: str) -> None:
    """Check that a reply begins with `decoded`, the text that a model reads in its first ids.

    Raises InvalidMessage where another model wrote the ids.
    """
    # Of a reply in progress some text is held back, as it could begin a stop string.
    if not (reply.text.startswith(decoded) or decoded.startswith(reply.text)):
        raise InvalidMessage(
            "the tokens of this reply say something else to this model, so another one wrote it: "
            "ask anew"
        )


def runs_before(reply: Node, place: int) -> tuple[Run, ...]:
    """Return the runs that wrote the tokens before `place`.

    The run that wrote the token at `place` too is returned as if a limit had cut it there: its
    figures are those of the whole run, except for the number of its tokens.
    """
    runs = _runs_up_to(reply, place)
    if runs:
        last = runs.pop()
        tokens = place - last.first_token
        if tokens:
            usage = replace(last.usage, completion_tokens=tokens)
            runs.append(replace(last, ending=Ending.LENGTH, error=None, usage=usage))
    return tuple(runs)


def seed_at(reply: Node, place: int) -> int | None:
    """Return the seed of the run that wrote the token at `place`, None where it is not known."""
    runs = _runs_up_to(reply, place)
    return runs[-1].seed if runs else None


def _runs_up_to(reply: Node, place: int) -> list[Run]:
    """Return the runs up to the one that wrote the token at `place`."""
    return [run for run in reply.runs if run.first_token <= place]
