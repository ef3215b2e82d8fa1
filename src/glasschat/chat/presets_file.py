"""Presets as JSON: to share as a file, and to read one that anybody may have written."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from glasschat.chat.exchange.field_types import Text, Whole
from glasschat.chat.exchange.file_model import FileModel, at_most, check_object, validate
from glasschat.chat.exchange.json_import import check_version
from glasschat.chat.exchange.json_input import parse_json
from glasschat.chat.exchange.report import Skipped, Skips
from glasschat.chat.params_json import params_from_json, some_params_as_json
from glasschat.chat.presets import LIMIT_FIELDS, RESERVED, SAMPLING_FIELDS, Preset
from glasschat.errors import GlasschatError, InvalidImport
from glasschat.messages import Message

FORMAT = "glasschat presets"
VERSION = 1
MOST_BYTES = 2**20
MAX_PRESETS = 200


@dataclass(frozen=True, slots=True)
class ImportedPresets:
    """The presets of a file, and what was left out of it."""

    presets: tuple[Preset, ...]
    skipped: tuple[Skipped, ...]


def presets_as_file(presets: Iterable[Preset]) -> str:
    """Return the presets as the text of a JSON file."""
    listed = [{"name": preset.name, "settings": preset_as_json(preset)} for preset in presets]
    plain = {"format": FORMAT, "version": VERSION, "presets": listed}
    return json.dumps(plain, ensure_ascii=False, indent=1) + "\n"


class PresetsFile(FileModel):
    """A file of presets, none of them looked at yet."""

    version: Annotated[int, Whole(2**31), AfterValidator(check_version)]
    presets: Annotated[list[Any], at_most(MAX_PRESETS)]


class PresetEntry(FileModel):
    """A preset. Its settings are checked by `Preset` itself, which has their ranges."""

    label = "a preset"

    name: Annotated[str, Text()]
    settings: Annotated[dict[Any, Any], BeforeValidator(lambda v: check_object(v, "settings"))]


def presets_from_file(data: bytes) -> ImportedPresets:
    """Return the presets of such a file; one that is malformed is left out and reported.

    So is a setting that this version does not know. Raises InvalidImport for any other file.
    """
    plain = parse_json(data, MOST_BYTES)
    if not isinstance(plain, Mapping) or plain.get("format") != FORMAT:
        raise InvalidImport("the file holds no presets: choose one that was downloaded here")
    skips, found = Skips(), dict[str, Preset]()
    for number, item in enumerate(validate(PresetsFile, plain).presets, 1):
        try:
            preset = _read_preset(validate(PresetEntry, item), skips)
            if preset.name in found:
                raise InvalidImport("there is another of that name before it in the file")
            found[preset.name] = preset
        except GlasschatError as error:
            name = item.get("name") if isinstance(item, Mapping) else None
            skips.note(name if isinstance(name, str) and name else str(number), error.message)
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


def _read_preset(entry: PresetEntry, skips: Skips) -> Preset:
    preset = preset_from_json(entry.name, entry.settings)
    if preset.name.casefold() in RESERVED:
        raise InvalidImport("a preset that is built in has that name: give it another")
    for unknown in entry.settings.keys() - {*SAMPLING_FIELDS, *LIMIT_FIELDS}:
        skips.note(
            preset.name, Message("{unknown} is no setting of a preset", unknown=repr(unknown[:80]))
        )
    return preset
