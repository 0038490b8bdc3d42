"""Contrastive training of two towers, for pictures and for texts. Knows no SQL and no drawn world.

``course`` is the whole of a training: ``train`` takes pairs of pictures and captions and returns
the best weights, by what ``judging`` finds. ``learner`` takes one step: the loss (``loss``), its
gradients in chunks, the optimisers, and the running mean of the weights. ``pairs`` has the pictures
and captions and ``batches`` draws from them, ``aid`` is what the image tower learns beside,
``work`` keeps a training that was stopped. ``towers`` and ``tokenizer`` make an untrained CLIP.
"""
