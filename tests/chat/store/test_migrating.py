"""The migrations lead where the tables are said to be."""

import threading

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from glasschat.chat.store import open_store
from glasschat.chat.store.opening import MIGRATIONS
from glasschat.chat.store.schema import HEAD, VERSION_TABLE, metadata


def test_the_newest_migration_is_the_schema_that_is_asked_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [HEAD]
    # They are compared as texts, to tell an older from a newer one.
    names = [script.revision for script in reversed(list(scripts.walk_revisions()))]
    assert names == sorted(names) and {len(name) for name in names} == {4}


def test_the_tables_are_those_that_the_code_knows(url: str) -> None:
    store = open_store(url)
    with store.database.read() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                # Words are indexed in tables of the database's own making.
                "include_name": lambda name, kind, _: kind != "table" or name in metadata.tables,
            },
        )
        assert compare_metadata(context, metadata) == []
    store.close()


def test_several_open_a_new_database_at_once(url: str) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            open_store(url).close()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    open_store(url).close()
