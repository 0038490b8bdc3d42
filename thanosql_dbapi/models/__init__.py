"""Model folders, and the encoders that turn texts and images into vectors. Knows no SQL."""
