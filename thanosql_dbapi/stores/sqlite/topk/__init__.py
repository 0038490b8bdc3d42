"""The most similar rows of a vector column without a scan: rounded vectors name candidates."""
