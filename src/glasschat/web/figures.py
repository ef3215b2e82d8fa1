"""Figures of replies and of the context as text, with units."""

import streamlit as st

from glasschat.chat import Ending, Node
from glasschat.engine import Snapshot, State
from glasschat.web.language import N_, _, ngettext

_ENDINGS = {
    Ending.CANCELLED: N_("stopped"),
    Ending.LENGTH: N_("ended at the length limit"),
    Ending.INTERRUPTED: N_("interrupted"),
}


def format_figures(reply: Node) -> str:
    """Return the line under a reply that has ended; timings are those of its last run."""
    run = reply.runs[-1]
    usage, timings = run.usage, run.timings
    count = run.first_token + usage.completion_tokens
    if reply.ids is None and not run.first_token:
        # Where its tokens begin is not known: other servers tell how many they are.
        count = sum(run.usage.completion_tokens for run in reply.runs)
    parts = [ngettext("{n:,} token", "{n:,} tokens", count)]
    if timings.decode_tps is not None:
        parts.append(_("{speed:,.0f} tokens/s", speed=timings.decode_tps))
    if timings.ttft_s is not None:
        parts.append(_("first after {seconds:.2f} s", seconds=timings.ttft_s))
    if usage.prompt_tokens:
        parts.append(
            _(
                "cached {cached:,} of {prompt:,} prompt tokens",
                cached=usage.cached_tokens,
                prompt=usage.prompt_tokens,
            )
        )
    if run.ending in _ENDINGS:
        parts.append(_(_ENDINGS[run.ending]))
    return " · ".join(parts)


def describe_progress(snapshot: Snapshot) -> str:
    """Return what a reply that is being written is doing: queued, prefilling, paused or writing."""
    if snapshot.state is State.QUEUED and not snapshot.queue_position:
        # Another server's queue, if it has one.
        return _("waiting for the first token")
    if snapshot.state is State.QUEUED:
        place = snapshot.queue_position
        return _("next in the queue") if place == 1 else _("{nth} in the queue", nth=ordinal(place))
    if snapshot.state is State.PREFILLING:
        total = snapshot.usage.prompt_tokens
        share = snapshot.prefilled / total if total else 1.0
        return _("reading the prompt {share:.0%} of {total:,} tokens", share=share, total=total)
    if snapshot.state is State.PAUSED:
        return _("paused")
    return _("writing")


def ordinal(number: int) -> str:
    """Return the number as an ordinal: 1st, 2nd, 3rd, 4th, …; in Chinese 第 1 位 and so on."""
    if 10 <= number % 100 <= 20:
        return _("{n}th", n=number)
    endings = {1: N_("{n}st"), 2: N_("{n}nd"), 3: N_("{n}rd")}
    return _(endings.get(number % 10, "{n}th"), n=number)


def draw_meter(used: int, context: int, *, estimated: bool = False) -> None:
    """Draw `used` of `context` tokens; `used` alone where the context is not known.

    Nothing is drawn where neither is known.
    """
    if not context:
        if used:
            words = _used(used, estimated)
            st.html(f'<div class="meter"><span class="words">{words}</span></div>')
        return
    share = min(1.0, used / context)
    level = "full" if share > 0.95 else "high" if share > 0.8 else "low"
    if estimated:
        text = _("about {used:,} of {context:,} tokens", used=used, context=context)
    else:
        text = _("{used:,} of {context:,} tokens", used=used, context=context)
    if used <= context:
        free = _("{free:,} free", free=context - used)
    else:
        free = _("{over:,} too many", over=used - context)
    # Numbers and words of our own only: nothing here comes from a conversation.
    st.html(
        f'<div class="meter" title="{free}"><span class="words">{text}</span>'
        f'<span class="gauge"><span class="level {level}" style="width:{share:.1%}"></span></span>'
        f'<span class="words free">{free}</span></div>',
        width="stretch",
    )


def _used(used: int, estimated: bool) -> str:
    if estimated:
        return ngettext("about {n:,} token", "about {n:,} tokens", used)
    return ngettext("{n:,} token", "{n:,} tokens", used)
