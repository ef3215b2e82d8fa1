"""How full the context is: used and free tokens, as a line and a bar."""

import streamlit as st

from glasschat.web.language import _, ngettext


def draw_meter(used: int, context: int, *, estimated: bool = False) -> None:
    """`used` of `context` tokens; how many alone where the context is not known.

    Nothing is drawn where neither is.
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
