"""The gate's tables through time; applied at every start (Alembic)."""
