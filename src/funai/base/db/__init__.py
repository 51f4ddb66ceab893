"""The database: engines, dialects, migrations."""
