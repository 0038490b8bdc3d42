"""Where data sets and models come from: the catalog, the Hugging Face hub, archives, storybook.

``catalog`` says what there is, ``network``, ``hub`` and ``archive`` bring it, and ``fetch`` puts it
in its place, whole or not at all. httpx and huggingface_hub are imported at first use.
"""
