"""Text to tree: which texts are ThanoSQL, and what they say. Pure: no database, model or file."""
