"""Many callers that mean ill, each on a connection of its own."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Self

from tests.envoy.hostile import Attacker, attacker

_ADDRESS: Final = "127.0.0.2"  # which is not that of the good callers
_PATIENCE: Final = 60.0  # seconds for what must be answered at all
_PAUSE: Final = 0.05


@dataclass
class Caller:
    """One connection with one call."""

    attacker: Attacker
    stream: int
    whole: bool = False  # nothing will be sent but what is said at first
    unsent: bytes = b""  # what the other side does not take yet
    chunks: int = 0  # of audio, for who speaks

    @property
    def end(self) -> str:
        """How it has ended; empty: it goes on."""
        return self.attacker.end(self.stream)

    @property
    def answered(self) -> bool:
        """Whether it has been let in, or has ended."""
        return self.attacker.answered(self.stream) or self.attacker.closed

    def rest(self) -> bool:
        """Sends what waits; whether nothing does any more."""
        self.say(b"")
        return not self.unsent or bool(self.end)

    def say(self, data: bytes) -> None:
        """Sends ``data``, after all that was to be sent before."""
        if not self.end:
            self.unsent = self.attacker.give(self.stream, self.unsent + data, last=self.whole)


class Crowd:
    """All of them. What comes back is read, for pings are answered: they are slow on purpose alone."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connections = ExitStack()
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        self._connections.enter_context(self._selector)
        return self

    def __exit__(self, *_: object) -> None:
        self._connections.close()

    def call(self, path: str, said: bytes, *, whole: bool = False, window: int | None = None) -> Caller:
        """Begins a call; ``whole``: what is ``said`` is all. ``window``: bytes that it takes of an answer."""
        one = self._connections.enter_context(attacker(self._port, source=_ADDRESS, window=window))
        one.read()  # how much may be sent
        self._selector.register(one.sock, selectors.EVENT_READ, one)
        caller = Caller(one, one.open(path), whole)
        caller.say(said)
        self.wait(caller.rest)
        return caller

    def listen(self) -> None:
        """Takes in all that has come."""
        while ready := self._selector.select(0):
            for key, _ in ready:
                if not key.data.read():
                    self._selector.unregister(key.fileobj)

    def answered(self, callers: list[Caller]) -> list[Caller]:
        """``callers``, once all of them have been let in, or have ended."""
        self.wait(lambda: all(one.answered for one in callers))
        return callers

    def wait(self, until: Callable[[], bool]) -> None:
        """Listens until then. Raises TimeoutError."""
        begun = time.monotonic()
        self.listen()
        while not until():
            if time.monotonic() - begun > _PATIENCE:
                raise TimeoutError("the crowd was not answered")
            time.sleep(_PAUSE)
            self.listen()
