"""Training and judging: arrays in, arrays and model folders out. Knows no SQL."""
