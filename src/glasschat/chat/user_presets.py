"""Everybody's own presets: in the store, or where there is none as long as the process lives."""

import threading

from glasschat.chat.presets import LONGEST_NAME, RESERVED, Preset
from glasschat.chat.presets_file import MOST_PRESETS
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
        self._here: dict[str, dict[str, Preset]] = {}

    def presets(self, owner: str) -> tuple[Preset, ...]:
        """All of the owner's, by name."""
        if self._store is not None:
            return self._store.presets(owner)
        with self._lock:
            found = list(self._here.get(owner, {}).values())
        return tuple(sorted(found, key=lambda preset: preset.name.casefold()))

    def save(self, owner: str, preset: Preset) -> None:
        """Keep it, in the place of one of the same name.

        Raises ParameterError for the name of a built-in one, and when there are too many.
        """
        if preset.name.casefold() in RESERVED:
            allowed = Message("another than that of a built-in one")
            raise ParameterError(Message("the preset's name"), allowed, preset.name)
        others = [other for other in self.presets(owner) if other.name != preset.name]
        if len(others) >= MOST_PRESETS:
            allowed = Message("at most {most}: delete one first", most=MOST_PRESETS)
            raise ParameterError(Message("the number of presets"), allowed, len(others) + 1)
        if self._store is not None:
            self._store.save_preset(owner, preset)
            return
        with self._lock:
            self._here.setdefault(owner, {})[preset.name] = preset

    def add(self, owner: str, preset: Preset) -> Preset:
        """Keep one that came from elsewhere, under another name if its own is taken; as it is kept.

        Raises as `save` does.
        """
        taken = {own.name: own for own in self.presets(owner)}
        name, number = preset.name, 2
        while name in taken and taken[name].params != preset.params:
            name, number = f"{preset.name[: LONGEST_NAME - 5]} {number}", number + 1
        added = Preset(name, preset.params)
        self.save(owner, added)
        return added

    def delete(self, owner: str, name: str) -> None:
        """Delete the owner's preset of that name; none is no error."""
        if self._store is not None:
            self._store.delete_preset(owner, name)
            return
        with self._lock:
            self._here.get(owner, {}).pop(name, None)
