"""The SQLite store: plans become SQL, and the user's file holds models, vectors and their log."""
