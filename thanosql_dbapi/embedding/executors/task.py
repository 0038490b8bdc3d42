"""What an executor is given: how sources become vectors, in values that can be pickled.

No connection, no open file and no function in it: a process on another machine that has the
package, the model's folder and the files gives the same vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import MediaError, ModelError, WorkspaceError
from ..batches import Read, require_files, unreadable
from ..digests import Digests
from ..pictures import Pictures

if TYPE_CHECKING:
    from ...models.preprocessing import Preparation
    from ..video import Film

Knows = Callable[[bytes], bool]
"""Says of a content's key whether the source need not be decoded."""


def knows_nothing(content: bytes) -> bool:
    """Have every source decoded: one reading of each file, whether its vector is known or not."""
    return False


def knows_all(content: bytes) -> bool:
    """Have no source decoded that can be told by its content: only digests are made."""
    return True


@dataclass(frozen=True)
class ModelPlace:
    """A model, as another process loads it.

    Attributes:
        folder: Its folder, absolute.
        fingerprint: What the folder must hold.
        device: As for ``models.encoder.Encoder``.
    """

    folder: Path
    fingerprint: str
    device: str | None = None


@dataclass(frozen=True)
class PictureReader:
    """Makes pixels of the pictures that rows name; used by several threads at once.

    Attributes:
        pictures: Opens them.
        digests: Tells what they hold.
        preparation: Brings them to the model's size.
    """

    pictures: Pictures
    digests: Digests
    preparation: Preparation

    def is_far(self, source: object) -> bool:
        """Return whether reading a source waits for a network, so that many are read at a time."""
        return self.pictures.is_far(self.digests.place(source))

    def fetch(self, source: object) -> Any:
        """Return what :meth:`read` takes in place of a source that has to be fetched.

        Raises:
            MediaError: It cannot be fetched.
            WorkspaceError: It lies where statements may not read.
        """
        fetched = self.pictures.fetch(self.digests.place(source))
        # A path stays as its row has it.
        return source if isinstance(fetched, (str, bytes)) else fetched

    def read(
        self,
        source: object,
        knows: Knows = knows_nothing,
        turn: AbstractContextManager[Any] | None = None,
    ) -> Read:
        """Read a source, and say what is wrong with it if it cannot be read.

        Args:
            source: As the row has it.
            knows: Asked for the content before the picture is decoded.
            turn: Entered when the source has been fetched.

        Raises:
            OperationalError: Too many files are open.
            ModelError: The model's folder is damaged.
        """
        try:
            fetched = self.fetch(source)
            with turn or nullcontext():
                return self._read(fetched, knows)
        except (MediaError, WorkspaceError) as error:
            require_files(error)
            return Read(error=error)
        except ModelError:
            raise
        except Exception as error:  # whatever a row is, the others are embedded
            require_files(error)
            return Read(error=unreadable("image", source, error))

    def _read(self, source: Any, knows: Knows) -> Read:
        preparation, place = self.preparation, self.digests.place(source)
        with self.pictures.opened(place) as picture:
            # A file's URL is no path that COPY writes: it is read whenever it is asked for.
            is_url = isinstance(place, str) and place[:5].lower() == "file:"
            content = None if is_url else self.digests.of_picture(picture)
            if content is not None and knows(content.key):
                return Read(content)
            remarks: list[str] = []
            image = self.pictures.decode(picture, preparation.least_side_px, remarks.append)
            pixels = preparation.pixels(image)
            # A file that was written meanwhile may have given other pixels.
            if content is not None and not picture.is_still():
                content = None
            return Read(content, pixels, remarks=remarks)


@dataclass(frozen=True)
class Task:
    """What is embedded, from where, with which model.

    Attributes:
        model: The model.
        pictures: Opens pictures and films.
        digests: Says what kind the sources are, where they lie and what they hold.
        batch_size: Sources a forward pass, 1 or more; None picks for the device.
        interval_s: Of films, the seconds from one frame that is embedded to the next.
    """

    model: ModelPlace
    pictures: Pictures
    digests: Digests
    batch_size: int | None = None
    interval_s: float = 1.0

    @property
    def kind(self) -> str:
        """What the sources are: ``"image"``, ``"text"`` or ``"video"``."""
        return self.digests.kind

    def reader(self, preparation: Preparation) -> PictureReader:
        """Return what makes pixels of pictures.

        Args:
            preparation: The model's, as ``load_preparation`` or an encoder has it.
        """
        return PictureReader(self.pictures, self.digests, preparation)

    def open_film(
        self, source: object, remark: Callable[[str], None]
    ) -> AbstractContextManager[Film]:
        """Open the film that a row names.

        Args:
            source: As the row has it.
            remark: Gets what is to be said of a film that is there in part.

        Raises:
            MediaError: It cannot be read.
            WorkspaceError: It lies where statements may not read.
        """
        return self.pictures.open_film(self.digests.place(source), remark)
