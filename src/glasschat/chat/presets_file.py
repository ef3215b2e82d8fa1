"""Presets as JSON: to share as a file, and to read one that anybody may have written."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from glasschat.chat.exchange.plain import list_of, mapping_of, parsed, text_of, whole_of
from glasschat.chat.exchange.report import Skipped, Skips
from glasschat.chat.params_json import params_from_json, some_params_as_json
from glasschat.chat.presets import LIMIT_FIELDS, RESERVED, SAMPLING_FIELDS, Preset
from glasschat.errors import GlasschatError, InvalidImport

FORMAT = "glasschat presets"
VERSION = 1
MOST_BYTES = 2**20
MOST_PRESETS = 200


@dataclass(frozen=True, slots=True)
class ImportedPresets:
    """The presets of a file, and what was left out of it."""

    presets: tuple[Preset, ...]
    skipped: tuple[Skipped, ...]


def presets_as_file(presets: Iterable[Preset]) -> str:
    """The file for these presets."""
    listed = [{"name": preset.name, "settings": preset_as_json(preset)} for preset in presets]
    plain = {"format": FORMAT, "version": VERSION, "presets": listed}
    return json.dumps(plain, ensure_ascii=False, indent=1) + "\n"


def presets_from_file(data: bytes) -> ImportedPresets:
    """The presets of such a file; one that is malformed is left out and reported.

    So is a setting that this version does not know. Raises InvalidImport for any other file.
    """
    plain = parsed(data, MOST_BYTES)
    if not isinstance(plain, Mapping) or plain.get("format") != FORMAT:
        raise InvalidImport("the file holds no presets: choose one that was downloaded here")
    version = whole_of(plain, "version", 2**31)
    if version > VERSION:
        raise InvalidImport(
            f"the file is of version {version} and this glasschat reads up to {VERSION}: update it"
        )
    skips, found = Skips(), dict[str, Preset]()
    for number, item in enumerate(list_of(plain.get("presets"), "presets", MOST_PRESETS), 1):
        try:
            preset = _read(mapping_of(item, "a preset"), skips)
            if preset.name in found:
                raise InvalidImport("there is another of that name before it in the file")
            found[preset.name] = preset
        except GlasschatError as error:
            name = item.get("name") if isinstance(item, Mapping) else None
            skips.note(name if isinstance(name, str) and name else str(number), str(error))
    return ImportedPresets(tuple(found.values()), skips.found())


def preset_as_json(preset: Preset) -> dict[str, Any]:
    """Its settings by their names."""
    return some_params_as_json(preset.params)


def preset_from_json(name: str, plain: Mapping[str, Any]) -> Preset:
    """The preset; a setting that no preset has here is left out. Raises ParameterError."""
    known = {
        setting: plain[setting] for setting in (*SAMPLING_FIELDS, *LIMIT_FIELDS) if setting in plain
    }
    params = params_from_json(known)
    return Preset(name, {setting: getattr(params, setting) for setting in known})


def _read(plain: Mapping[str, Any], skips: Skips) -> Preset:
    name = text_of(plain, "name")
    settings = mapping_of(plain.get("settings"), "settings")
    preset = preset_from_json(name, settings)
    if preset.name.casefold() in RESERVED:
        raise InvalidImport("a preset that is built in has that name: give it another")
    for unknown in settings.keys() - {*SAMPLING_FIELDS, *LIMIT_FIELDS}:
        skips.note(preset.name, f"{unknown[:80]!r} is no setting of a preset")
    return preset
