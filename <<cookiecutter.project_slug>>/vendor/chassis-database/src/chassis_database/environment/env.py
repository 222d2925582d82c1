"""What Alembic runs, in this process, for each command that looks at the database."""

from alembic import context

from chassis_database.migrations import configure

configure(context)  # type: ignore[arg-type] # the module stands for the object
with context.begin_transaction():
    context.run_migrations()
