"""Presets of one's own are kept, for their owner and for nobody else."""

import threading

import pytest
from alembic import command
from alembic.config import Config

from glasschat.chat.presets import Preset, make_preset
from glasschat.chat.store import Store, open_store
from glasschat.chat.store.database import Database, store_url
from glasschat.chat.store.opening import MIGRATIONS
from glasschat.errors import StoreDamaged
from glasschat.sampling import SamplingParams
from tests.chat.store.conftest import ME, asked


def test_what_was_saved_is_read_again(store: Store) -> None:
    first = make_preset("calm", SamplingParams(temperature=0.1, stop=("\n\n",), seed=2**64 - 1))
    other = Preset("Ünusual 一 🌊", {"top_k": 3, "min_p": 1 / 3})
    store.save_preset(ME, other)
    store.save_preset(ME, first)
    assert store.presets(ME) == (first, other)


def test_one_of_the_same_name_takes_its_place(store: Store) -> None:
    store.save_preset(ME, Preset("calm", {"top_k": 3}))
    store.save_preset(ME, Preset("calm", {"top_k": 4}))
    assert store.presets(ME) == (Preset("calm", {"top_k": 4}),)


def test_they_are_their_owners_alone(store: Store) -> None:
    store.save_preset(ME, Preset("calm", {"top_k": 3}))
    store.save_preset("you", Preset("calm", {"top_k": 4}))
    store.delete_preset("somebody else", "calm")
    store.delete_preset("you", "calm")
    store.delete_preset("you", "calm")
    assert store.presets("you") == ()
    assert store.presets(ME) == (Preset("calm", {"top_k": 3}),)


def test_two_save_one_name_at_once_and_one_of_both_stays(store: Store) -> None:
    failed: list[BaseException] = []

    def save(value: int) -> None:
        try:
            for _ in range(10):
                store.save_preset(ME, Preset("calm", {"top_k": value}))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=save, args=(value,)) for value in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    [kept] = store.presets(ME)
    assert kept.value("top_k") in (1, 2)


def test_a_damaged_one_is_named_and_mended_by_saving_it_anew(store: Store) -> None:
    store.save_preset(ME, Preset("calm", {"top_k": 3}))
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE presets SET params = '{\"top_k\": -1}'")
    with pytest.raises(StoreDamaged, match="the preset 'calm' is damaged"):
        store.presets(ME)
    store.save_preset(ME, Preset("calm", {"top_k": 5}))
    assert store.presets(ME) == (Preset("calm", {"top_k": 5}),)


def test_a_store_from_before_there_were_any_gets_the_table(url: str) -> None:
    database = Database(store_url(url))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    conversation, tree = asked(Store(database), "is anybody there?")
    database.close()
    store = open_store(url)
    store.save_preset(ME, Preset("calm", {}))
    assert store.load(ME, conversation).tree == tree and len(store.presets(ME)) == 1
    store.close()
