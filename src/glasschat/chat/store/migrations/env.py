"""What Alembic asks: run on the connection, and in the transaction, that is open already."""

from alembic import context

from glasschat.chat.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # Both databases take changes of tables back with the transaction.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
