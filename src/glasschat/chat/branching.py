"""What a reply shares with another that leaves it at one of its tokens. Pure."""

from dataclasses import replace

from glasschat.chat.node import Ending, Node, Run
from glasschat.errors import InvalidMessage, ParameterError


def check_place(reply: Node, place: int) -> None:
    """That the reply has a token of that number, from 0; the token that ended it is one.

    Raises InvalidMessage for what has no tokens, ParameterError for a place that it has not.
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
        raise ParameterError("place", f"from 0 to {tokens - 1:,} in this reply", place)


def check_text(reply: Node, said: str) -> None:
    """That a reply's first ids, which say `said` to a model, say to it what the reply does.

    Raises InvalidMessage.
    """
    # Of a reply on its way some text is held back, as it could begin a stop string.
    if not (reply.text.startswith(said) or said.startswith(reply.text)):
        raise InvalidMessage(
            "the tokens of this reply say something else to this model, so another one wrote it: "
            "ask anew"
        )


def runs_before(reply: Node, place: int) -> tuple[Run, ...]:
    """The runs that wrote the tokens before `place`.

    The one that wrote that token too is as if a limit had cut it there: its figures are those of
    the whole run, but for the number of its tokens.
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
    """The seed of the run that wrote that token; None where it is not known."""
    runs = _runs_up_to(reply, place)
    return runs[-1].seed if runs else None


def _runs_up_to(reply: Node, place: int) -> list[Run]:
    """Up to the one that wrote that token."""
    return [run for run in reply.runs if run.first_token <= place]
