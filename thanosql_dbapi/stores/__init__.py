"""Where rows and vectors live. SQLite is the one store there is; it has ``sqlite`` to itself."""
