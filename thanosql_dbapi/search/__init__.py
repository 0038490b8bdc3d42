"""Similarity in SQL: the functions, and SEARCH as a SELECT. Knows no torch and no model."""
