"""Presets of users: in the store, or in memory while the process lives if there is no store."""

import threading

from glasschat.chat.presets import MAX_NAME_CHARS, RESERVED, Preset
from glasschat.chat.presets_file import MAX_PRESETS
from glasschat.chat.store import Store
from glasschat.errors import ParameterError
from glasschat.messages import Message


class UserPresets:
    """Presets by their owners. Safe to use from any thread.

    All methods raise StoreError where there is a store.
    """

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._in_memory: dict[str, dict[str, Preset]] = {}

    def presets(self, owner: str) -> tuple[Preset, ...]:
        """Return all presets of an owner, sorted by name."""
        if self._store is not None:
            return self._store.presets(owner)
        with self._lock:
            found = list(self._in_memory.get(owner, {}).values())
        return tuple(sorted(found, key=lambda preset: preset.name.casefold()))

    def save(self, owner: str, preset: Preset) -> None:
        """Save a preset; one of the same name is replaced.

        Raises ParameterError for the name of a built-in preset, and for too many presets.
        """
        if preset.name.casefold() in RESERVED:
            allowed = Message("another than that of a built-in one")
            raise ParameterError(Message("the preset's name"), allowed, preset.name)
        remaining = [saved for saved in self.presets(owner) if saved.name != preset.name]
        if len(remaining) >= MAX_PRESETS:
            allowed = Message("at most {most}: delete one first", most=MAX_PRESETS)
            raise ParameterError(Message("the number of presets"), allowed, len(remaining) + 1)
        if self._store is not None:
            self._store.save_preset(owner, preset)
            return
        with self._lock:
            self._in_memory.setdefault(owner, {})[preset.name] = preset

    def add(self, owner: str, preset: Preset) -> Preset:
        """Save an imported preset, under another name if its name is taken; return it as saved.

        Raises ParameterError as `save` does.
        """
        taken = {saved.name: saved for saved in self.presets(owner)}
        name, number = preset.name, 2
        while name in taken and taken[name].params != preset.params:
            name, number = f"{preset.name[: MAX_NAME_CHARS - 5]} {number}", number + 1
        added = Preset(name, preset.params)
        self.save(owner, added)
        return added

    def delete(self, owner: str, name: str) -> None:
        """Delete the owner's preset of that name; none is no error."""
        if self._store is not None:
            self._store.delete_preset(owner, name)
            return
        with self._lock:
            self._in_memory.get(owner, {}).pop(name, None)
