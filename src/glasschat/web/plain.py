"""Text as a label: nothing in it is Markdown."""

import re

_SIGNS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|:~$&^=@])")


def plain_label(text: str) -> str:
    """`text` as it stands, for widgets whose labels are read as Markdown."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))
