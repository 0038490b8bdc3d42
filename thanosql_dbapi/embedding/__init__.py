"""CLIP through transformers: model folders, image decoding, and the pipeline that embeds many rows."""
