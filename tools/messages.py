"""Bring the catalogues of translations up to date with the source, by Babel.

    python tools/messages.py            every locale/*.po gets what is new, loses what is gone
    python tools/messages.py --check    says what is missing, changes nothing

Pages mark their messages with `_`, `ngettext` and `N_`. Errors need no mark: the first text that is
given to an error's class or to `Message` is the template. They are in a context of their own.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from string import Formatter

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from glasschat import errors
from glasschat.web.error_text import ERROR
from glasschat.web.language import LOCALE

SOURCE = Path(errors.__file__).parent
# Where messages are marked: pages, what the glass box says in sentences, labels of settings.
MARKED = ("web", "glass", "sampling")
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}
ERROR_KEYWORDS = {
    **{
        name: None
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.GlasschatError)
    },
    # The name of the setting comes first, then what it may be.
    "ParameterError": (2,),
    # Beside the errors: parts of them, and what becomes one further up.
    "Message": None,
    "DamagedError": None,
    "LimitExceeded": None,
}


def extracted() -> Catalog:
    """Every message of the source."""
    catalog = Catalog(project="glasschat", charset="utf-8", fuzzy=False)
    for folder in MARKED:
        found = extract_from_dir(SOURCE / folder, [("**.py", "python")], keywords=KEYWORDS)
        for name, _line, message, _comments, _context in found:
            catalog.add(message, locations=[(f"{folder}/{name}", 0)])
    found = extract_from_dir(SOURCE, [("**.py", "python")], keywords=ERROR_KEYWORDS)
    for name, _line, message, _comments, _context in sorted(found):
        if isinstance(message, str) and has_words(message):
            catalog.add(message, locations=[(name, 0)], context=ERROR)
    return catalog


def has_words(template: str) -> bool:
    """Whether there is anything to translate beside the values."""
    return any(any(map(str.isalpha, text)) for text, *_ in Formatter().parse(template))


def updated(catalogue: Path, messages: Catalog) -> Catalog:
    """The catalogue of a file with the messages of the source, and no others."""
    with catalogue.open("rb") as file:
        catalog = read_po(file, locale=catalogue.stem)
    catalog.update(messages, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    return catalog


def untranslated(catalog: Catalog) -> list[str]:
    """The messages without a translation."""
    return [str(message.id) for message in catalog if message.id and not _is_translated(message)]


def _is_translated(message: Message) -> bool:
    text = message.string
    return all(text) if isinstance(text, list | tuple) else bool(text)


def written(catalog: Catalog, header: str) -> str:
    """The text of a catalogue's file; `header` is kept as its translators wrote it."""
    file = io.BytesIO()
    write_po(file, catalog, width=96, sort_by_file=True, include_lineno=False, omit_header=True)
    return f"{header}\n\n{file.getvalue().decode().strip()}\n"


def main() -> int:
    """Write the catalogues, or look at them only."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args()
    messages, missing = extracted(), 0
    for path in sorted(LOCALE.glob("*.po")):
        catalog = updated(path, messages)
        left = untranslated(catalog)
        missing += len(left)
        print(f"{path.name}: {len(catalog)} messages, {len(left)} without a translation")
        for message in left:
            print(f"  {message}")
        if not options.check:
            header, _, _ = path.read_text("utf-8").partition("\n\n")
            path.write_text(written(catalog, header), "utf-8")
    return 1 if missing and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
