"""What other settings would have made of a reply, and what its own did."""

from collections.abc import Mapping
from typing import Any

from glasschat.glass import Divergence, Sentence, SettingEffect, setting_effects, what_if
from glasschat.web.glass.params_patch import KNOBS, changed, described_knob
from glasschat.web.glass.reply import ReplyUnderGlass, Stretch
from glasschat.web.glass.token_text import spoken
from glasschat.web.glass.waterfall import sentence
from glasschat.web.language import _, current_language, ngettext
from glasschat.web.settings.fields import label, written


def knobs(reply: ReplyUnderGlass) -> dict[str, Any]:
    """The settings of the newest run, as controls are made from them."""
    trace = reply.last_trace
    if trace is None:
        return {"knobs": [], "stages": []}
    params = trace.params
    return {
        "knobs": [described_knob(knob) | {"value": getattr(params, knob.name)} for knob in KNOBS],
        "do_sample": params.do_sample,
        "seed": str(trace.seed),
        "stages": list(params.stages),
    }


def asked(reply: ReplyUnderGlass, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Where the reply would have gone another way: a list of places, and the answer in words."""
    places: list[list[Any]] = []
    open_places: list[int] = []
    unknown_places: list[int] = []
    first: tuple[int, Divergence] | None = None
    exact, ends_at = True, None
    for stretch in reply.stretches:
        if stretch.trace is None:
            continue
        found = what_if(stretch.trace, changed(stretch.trace.params, changes))
        if first is None:
            exact = exact and found.exact
            if found.first is not None:
                first = stretch.start + found.first.place, found.first
        places += [_place(stretch, item, reply) for item in found.divergences]
        open_places += [stretch.start + place for place in found.open_places]
        unknown_places += [stretch.start + place for place in found.unknown_places]
        if ends_at is None and found.ends_at is not None:
            ends_at = stretch.start + found.ends_at
    return {
        "first": None if first is None else first[0],
        "places": places,
        "open": open_places,
        "unknown": unknown_places,
        "ends_at": ends_at,
        "exact": exact,
        "story": [
            *_story(reply, first, len(places), ends_at),
            *_certainty(len(open_places), len(unknown_places), exact=exact),
        ],
    }


def _place(stretch: Stretch, item: Divergence, reply: ReplyUnderGlass) -> list[Any]:
    instead = None if item.instead is None else reply.names(item.instead)
    return [stretch.start + item.place, instead, item.instead_probability, item.certain]


def _story(
    reply: ReplyUnderGlass,
    first: tuple[int, Divergence] | None,
    count: int,
    ends_at: int | None,
) -> list[str]:
    said = []
    if first is None:
        said.append(_("With these settings the reply would have been the same, token by token."))
    else:
        place, item = first
        token = spoken(reply.names(item.token_id))
        if item.instead is None:
            said.append(
                _(
                    "At token {n:,} a token that is not among the recorded candidates would have "
                    "come instead of {token}.",
                    n=place + 1,
                    token=token,
                )
            )
        else:
            said.append(
                _(
                    "At token {n:,} the reply would have gone another way: {instead} "
                    "({share:.1%}) instead of {token}.",
                    n=place + 1,
                    instead=spoken(reply.names(item.instead)),
                    share=item.instead_probability,
                    token=token,
                )
            )
    if count > 1:
        said.append(
            ngettext(
                "At {n:,} later token the choice would be another one too, were the text before "
                "it the same.",
                "At {n:,} later tokens the choice would be another one too, were the text before "
                "them the same.",
                count - 1,
            )
        )
    if ends_at is not None and (first is None or ends_at <= first[0]):
        said.append(_("It would have ended after {n:,} tokens.", n=ends_at))
    return said


def _certainty(open_count: int, unknown_count: int, *, exact: bool) -> list[str]:
    """Return how certain the answer is, and why it is not."""
    if exact:
        return [_("This is exact: the same draws, and the recorded candidates suffice.")]
    said = []
    if open_count > unknown_count or not unknown_count:
        said.append(
            ngettext(
                "This is approximate: at {n:,} token the recorded candidates do not suffice.",
                "This is approximate: at {n:,} tokens the recorded candidates do not suffice.",
                max(1, open_count - unknown_count),
            )
        )
    if unknown_count:
        said.append(
            ngettext(
                "At {n:,} token the choice is not known behind a custom stage.",
                "At {n:,} tokens the choice is not known behind a custom stage.",
                unknown_count,
            )
        )
    return said


def audited(reply: ReplyUnderGlass) -> dict[str, Any]:
    """What each setting of each run did, in a sentence and in numbers."""
    recorded = [(stretch.start, stretch.trace) for stretch in reply.stretches if stretch.trace]
    return {
        "knobs": [
            _told(start, knob) for start, trace in recorded for knob in setting_effects(trace)
        ]
    }


def _told(start: int, knob: SettingEffect) -> dict[str, Any]:
    return {
        "name": knob.setting,
        "label": _named(knob.setting),
        "tokens": knob.tokens,
        "sets": knob.sets,
        "distributions": knob.distributions,
        "choices": knob.choices,
        "open": knob.open,
        "places": [start + place for place in knob.places],
        "said": sentence(_as_seen(start, knob)) + current_language().full_stop,
    }


def _as_seen(start: int, knob: SettingEffect) -> Sentence:
    """With the token that it names counted over the whole reply, and the value as people write."""
    values = dict(knob.sentence.values)
    first = values["first"]
    assert isinstance(first, int)
    values |= {"first": start + first, "value": _value(knob)}
    return Sentence(knob.sentence.template, values)


def _value(knob: SettingEffect) -> str:
    match knob.value:
        case Mapping() as bias:
            return ngettext("for {n:,} token", "for {n:,} tokens", len(bias))
        case tuple():
            return _("in an order of its own")
        case value:
            return written(knob.setting, value)


def _named(setting: str) -> str:
    try:
        return label(setting)
    except KeyError:
        return setting
