"""The steps from each schema to the next, run by Alembic. What is released is never changed."""
