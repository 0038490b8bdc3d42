"""How the sources of rows are read: all of it in one value that another process can be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import SourceError, clip
from ..places import STORES, Place
from ..settings import Settings
from ..workspace import Workspace
from .addresses import Reach
from .network import IMAGE_LIMIT_BYTES, TIMEOUT_S, TOTAL_S, without_secrets

TABLE_LIMIT_BYTES = 4 << 30
"""Most bytes of a table, or of an archive that has to be fetched whole."""
TABLE_TOTAL_S = 3600.0

Options = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class SourcePolicy:
    """What may be read, and how. It can be pickled, and holds no open file or connection.

    Attributes:
        workspace: Which files may be read, and which buckets with the user's credentials.
        network: Whether anything may be fetched.
        is_offline: Whether ``offline`` is why it may not.
        allowed_hosts: Hosts that may be connected to although their addresses are not public.
        storage: The options of each kind of store; may hold secrets, and is not shown.
        limit_bytes: Most bytes of an image.
        table_bytes: Most bytes of a table, or of an archive that has to be fetched whole.
        timeout_s: Longest silence of a server, in seconds.
        total_s: Longest time for a whole image, in seconds.
        table_total_s: Longest time for a whole table or archive, in seconds.

    Example:
        >>> import pickle
        >>> policy = SourcePolicy(Workspace("/photos"), network=True)
        >>> pickle.loads(pickle.dumps(policy)).network
        True
    """

    workspace: Workspace
    network: bool = False
    is_offline: bool = False
    allowed_hosts: tuple[str, ...] = ()
    storage: tuple[tuple[str, Options], ...] = field(default=(), repr=False)
    limit_bytes: int = IMAGE_LIMIT_BYTES
    table_bytes: int = TABLE_LIMIT_BYTES
    timeout_s: float = TIMEOUT_S
    total_s: float = TOTAL_S
    table_total_s: float = TABLE_TOTAL_S

    @classmethod
    def of(cls, settings: Settings) -> SourcePolicy:
        """Return the policy of a connection."""
        given = settings.storage_options or {}
        return cls(
            workspace=settings.workspace,
            network=settings.network and not settings.offline,
            is_offline=settings.offline,
            allowed_hosts=settings.allowed_hosts,
            storage=tuple((each, _pairs(given[each])) for each in STORES if each in given),
        )

    def options(self, scheme: str) -> dict[str, Any]:
        """Return the options of one kind of store."""
        return dict(dict(self.storage).get(scheme, ()))

    def reach(self) -> Reach:
        """Return the hosts that rows and statements may name."""
        return Reach(self.allowed_hosts)

    def require_network(self, place: Place) -> None:
        """Refuse a place that needs the network where it is off.

        Raises:
            SourceError: It is.
        """
        if place.is_far and not self.network:
            option = "offline=False and network=True" if self.is_offline else "network=True"
            raise SourceError(
                f"{clip(without_secrets(place.text))} needs the network, which is off; open the"
                f" connection with {option}"
            )


def _pairs(options: Mapping[str, Any]) -> Options:
    return tuple(sorted(options.items()))
