"""CLIP through transformers: model folders, image decoding, and the pipeline that embeds many rows.

``folder`` knows what lies in a model folder, ``clip`` turns texts and images into vectors,
``images`` decodes untrusted files, ``preparing`` brings them to size, ``pipeline`` feeds
the encoder, ``cache`` remembers queries.
The room knows no SQL; torch, transformers and Pillow are imported at first use, inside functions.
"""
