"""An error as a sentence in the visitor's language.

An error is one line of English: in the log, on the command line and in the API it stays that. It
keeps the template that it was made from and its values (`messages.py`), also where it is stored
with a reply, so a page can look the template up and fill it in anew: an error of months ago is read
in whichever language its reader has. A line without a template, from another program or an older
database, is shown as it is.
"""

from functools import partial

from glasschat.errors import GlasschatError
from glasschat.messages import Message
from glasschat.web.language import Translator, current_language

ERROR = "error"
"""The context of these messages in a catalogue."""

_ENDS = (".", "!", "?", "…", "。", "！", "？")


def explain(error: GlasschatError | str) -> str:
    """Return the error's line as a sentence. What has no translation stays English."""
    message = error.message if isinstance(error, GlasschatError) else error
    line, language = str(message).strip(), current_language()
    if isinstance(message, Message):
        text = message.render(partial(Translator(language).pgettext, ERROR)).strip()
        if text != line:
            return text if text.endswith(_ENDS) else text + language.full_stop
    # A setting's name stays as it is, top_p and not Top_p, and so does an address.
    is_name = any(sign in line.partition(" ")[0] for sign in ("_", "://"))
    first = line[:1] if is_name else line[:1].upper()
    return first + line[1:] + ("" if line.endswith(_ENDS) else ".")
