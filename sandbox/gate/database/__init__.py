"""The database: tables, migrations, one writer at a time on SQLite or PostgreSQL."""
