"""Long work outside of the server's process: kept in SQLite, so that it goes on after a restart."""
