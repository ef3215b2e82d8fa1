"""What-if, setting effects and the settings of a reply as JSON, with their stories."""

from collections.abc import Mapping
from typing import Any

from glasschat.glass import Divergence, Sentence, SettingEffect, setting_effects, what_if
from glasschat.web.glass.params_patch import CONTROLS, apply_patch, control_json
from glasschat.web.glass.reply import InspectedReply, RunSegment
from glasschat.web.glass.token_text import quote_name
from glasschat.web.glass.waterfall import sentence_text
from glasschat.web.language import _, current_language, ngettext
from glasschat.web.settings.fields import format_value, label


def settings_json(reply: InspectedReply) -> dict[str, Any]:
    """Return the settings of the newest run, as the page makes controls from them."""
    trace = reply.last_trace
    if trace is None:
        return {"settings": [], "stages": []}
    params = trace.params
    return {
        "settings": [
            control_json(number) | {"value": getattr(params, number.name)} for number in CONTROLS
        ],
        "do_sample": params.do_sample,
        "seed": str(trace.seed),
        "stages": list(params.stages),
    }


def what_if_json(reply: InspectedReply, patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the reply would have gone another way: a list of places, and a story."""
    places: list[list[Any]] = []
    open_places: list[int] = []
    unknown_places: list[int] = []
    first: tuple[int, Divergence] | None = None
    exact, ends_at = True, None
    for segment in reply.segments:
        if segment.trace is None:
            continue
        found = what_if(segment.trace, apply_patch(segment.trace.params, patch))
        if first is None:
            exact = exact and found.exact
            if found.first is not None:
                first = segment.start + found.first.place, found.first
        places += [_divergence_json(segment, item, reply) for item in found.divergences]
        open_places += [segment.start + place for place in found.open_places]
        unknown_places += [segment.start + place for place in found.unknown_places]
        if ends_at is None and found.ends_at is not None:
            ends_at = segment.start + found.ends_at
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


def _divergence_json(segment: RunSegment, item: Divergence, reply: InspectedReply) -> list[Any]:
    instead = None if item.instead is None else reply.names(item.instead)
    return [segment.start + item.place, instead, item.instead_probability, item.certain]


def _story(
    reply: InspectedReply,
    first: tuple[int, Divergence] | None,
    count: int,
    ends_at: int | None,
) -> list[str]:
    """Return in sentences where the reply would have gone another way, and where it would end."""
    sentences = []
    if first is None:
        sentences.append(
            _("With these settings the reply would have been the same, token by token.")
        )
    else:
        place, item = first
        token = quote_name(reply.names(item.token_id))
        if item.instead is None:
            sentences.append(
                _(
                    "At token {n:,} a token that is not among the recorded candidates would have "
                    "come instead of {token}.",
                    n=place + 1,
                    token=token,
                )
            )
        else:
            sentences.append(
                _(
                    "At token {n:,} the reply would have gone another way: {instead} "
                    "({share:.1%}) instead of {token}.",
                    n=place + 1,
                    instead=quote_name(reply.names(item.instead)),
                    share=item.instead_probability,
                    token=token,
                )
            )
    if count > 1:
        sentences.append(
            ngettext(
                "At {n:,} later token the choice would be another one too, were the text before "
                "it the same.",
                "At {n:,} later tokens the choice would be another one too, were the text before "
                "them the same.",
                count - 1,
            )
        )
    if ends_at is not None and (first is None or ends_at <= first[0]):
        sentences.append(_("It would have ended after {n:,} tokens.", n=ends_at))
    return sentences


def _certainty(open_count: int, unknown_count: int, *, exact: bool) -> list[str]:
    """Return how certain the answer is, and why it is not."""
    if exact:
        return [_("This is exact: the same draws, and the recorded candidates suffice.")]
    sentences = []
    if open_count > unknown_count or not unknown_count:
        sentences.append(
            ngettext(
                "This is approximate: at {n:,} token the recorded candidates do not suffice.",
                "This is approximate: at {n:,} tokens the recorded candidates do not suffice.",
                max(1, open_count - unknown_count),
            )
        )
    if unknown_count:
        sentences.append(
            ngettext(
                "At {n:,} token the choice is not known from the record.",
                "At {n:,} tokens the choice is not known from the record.",
                unknown_count,
            )
        )
    return sentences


def setting_effects_json(reply: InspectedReply) -> dict[str, Any]:
    """Return what each setting of each run did, in a sentence and in numbers."""
    return {
        "setting_effects": [
            _effect_json(segment.start, effect)
            for segment in reply.segments
            if segment.trace is not None
            for effect in setting_effects(segment.trace)
        ]
    }


def _effect_json(start: int, effect: SettingEffect) -> dict[str, Any]:
    return {
        "name": effect.setting,
        "label": _label(effect.setting),
        "tokens": effect.tokens,
        "sets": effect.sets,
        "distributions": effect.distributions,
        "choices": effect.choices,
        "open": effect.open,
        "places": [start + place for place in effect.places],
        "sentence": sentence_text(_localize(start, effect)) + current_language().full_stop,
    }


def _localize(start: int, effect: SettingEffect) -> Sentence:
    """Return the sentence with tokens counted over the whole reply, and the value as text."""
    values = dict(effect.sentence.values)
    first = values["first"]
    assert isinstance(first, int)
    values |= {"first": start + first, "value": _value_text(effect)}
    return Sentence(effect.sentence.template, values)


def _value_text(effect: SettingEffect) -> str:
    match effect.value:
        case Mapping() as bias:
            return ngettext("for {n:,} token", "for {n:,} tokens", len(bias))
        case tuple():
            return _("in an order of its own")
        case value:
            return format_value(effect.setting, value)


def _label(setting: str) -> str:
    """Return the label of a setting; of a custom stage its name."""
    try:
        return label(setting)
    except KeyError:
        return setting
