"""Image and video decoding, and the pipeline that embeds many rows.

``pictures`` opens what a row names, ``images`` and ``decoding`` read untrusted files, ``digests``
says what they hold, ``batches`` and ``texts`` know rows, ``executors`` where they are embedded.
The room knows no SQL; torch, Pillow and PyAV are imported at first use, inside functions.
"""
