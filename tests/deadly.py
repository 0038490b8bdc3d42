"""Pictures that end the process which reads them; workers of other processes can import it."""

from __future__ import annotations

import os
import signal
from typing import Any

from thanosql_dbapi.embedding.pictures import Pictures


class Deadly(Pictures):
    """Reads pictures, but for ``7.png``."""

    def fetch(self, source: Any) -> Any:
        if str(source).endswith("/7.png"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fetch(source)
