"""Many images through a runtime, read and decoded ahead in threads while the model works."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Final, Protocol, TypeVar

from ml.imaging.refusal import ImageRefused

BATCH: Final = 32
READERS: Final = 2
AHEAD: Final = 2
"""Batches being read or waiting for the model, so that one slow image does not leave the model idle."""

Key = TypeVar("Key")
Prepared = TypeVar("Prepared")
Answer_co = TypeVar("Answer_co", covariant=True)


class Answering(Protocol[Prepared, Answer_co]):
    """Answers images as `ml.runtime.Runtime` does."""

    def prepare(self, data: bytes) -> Prepared:
        """What `predict` takes for one image file. Raises ImageRefused."""

    def predict(self, batch: Sequence[Prepared]) -> Sequence[Answer_co]:
        """The answers, in the order of what `prepare` gave."""


def stream(
    runtime: Answering[Prepared, Answer_co], images: Iterable[Key], read: Callable[[Key], bytes], batch: int = BATCH
) -> Iterator[tuple[Key, Answer_co | ImageRefused]]:
    """Each of `images` with its answer, in their order; an image that cannot be taken comes with its refusal.

    `read` gives the bytes of one encoded image and is called in READERS threads at once. No more than AHEAD + 1 batches
    of prepared pixels are held, however many images there are; `images` is taken from only as far. What `read` raises,
    other than ImageRefused, and what `predict` raises, is raised here.
    """

    def prepare(key: Key) -> Prepared | ImageRefused:
        try:
            return runtime.prepare(read(key))
        except ImageRefused as refusal:
            return refusal

    coming = iter(images)
    waiting: deque[tuple[Key, Future[Prepared | ImageRefused]]] = deque()
    readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")

    def look_ahead() -> None:
        waiting.extend((key, readers.submit(prepare, key)) for key in islice(coming, AHEAD * batch - len(waiting)))

    try:
        look_ahead()
        while waiting:
            taken = [waiting.popleft() for _ in range(min(batch, len(waiting)))]
            prepared = [future.result() for _, future in taken]
            look_ahead()
            answers = iter(runtime.predict([each for each in prepared if not isinstance(each, ImageRefused)]))
            for (key, _), each in zip(taken, prepared, strict=True):
                yield key, each if isinstance(each, ImageRefused) else next(answers)
    finally:
        readers.shutdown(cancel_futures=True)
