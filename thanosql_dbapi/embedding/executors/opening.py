"""The executors by their names, as ``connect`` takes them."""

from __future__ import annotations

from .protocol import Executor

RAY = "ray"


def open_executor(name: str | None, workers: int | None) -> Executor:
    """Return what embeds the rows of a connection's statements.

    Args:
        name: A name that ``option.read_executor`` takes; None is the best there is.
        workers: How many decode at most, None is one a core; or how many a cluster gets.
    """
    if name is not None and name.startswith(RAY):
        from .on_ray.executor import OnRay

        return OnRay(name, workers)
    from .local import Local

    return Local(name, workers)
