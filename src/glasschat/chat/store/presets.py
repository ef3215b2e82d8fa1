"""Presets of one's own in the database: settings as JSON, by owner and name."""

import json

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from glasschat.chat.presets import Preset
from glasschat.chat.presets_file import preset_as_json, preset_from_json
from glasschat.chat.store.schema import presets
from glasschat.errors import StoreDamaged


def presets_of(connection: Connection, owner: str) -> tuple[Preset, ...]:
    """All presets of the owner, by name. Raises StoreDamaged."""
    found = []
    for row in connection.execute(select(presets).where(presets.c.owner == owner)):
        try:
            found.append(preset_from_json(row.name, json.loads(row.params)))
        except (ValueError, TypeError, AttributeError) as error:
            raise StoreDamaged(
                f"the preset {row.name!r} is damaged, what is stored of it makes no sense "
                f"({error}): save another under that name"
            ) from error
    return tuple(sorted(found, key=lambda preset: preset.name.casefold()))


def put_preset(connection: Connection, owner: str, preset: Preset) -> None:
    """Add the preset, or change the one of that name."""
    values: sqlite.Insert | postgresql.Insert = (
        sqlite.insert(presets)
        if connection.dialect.name == "sqlite"
        else postgresql.insert(presets)
    )
    text = json.dumps(preset_as_json(preset), separators=(",", ":"))
    connection.execute(
        values.values(owner=owner, name=preset.name, params=text).on_conflict_do_update(
            index_elements=[presets.c.owner, presets.c.name], set_={"params": text}
        )
    )


def remove_preset(connection: Connection, owner: str, name: str) -> None:
    """Delete the preset of that name, if there is one."""
    here = presets.c.owner == owner, presets.c.name == name
    connection.execute(delete(presets).where(*here))
