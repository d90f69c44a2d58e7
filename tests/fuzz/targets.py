"""What must hold of any bytes: an answer, or an error of ours that names the field. Nothing else, ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from earshot import errors
from earshot.audio.decoding import decode
from earshot.audio.formats import AudioFormat, Encoding
from earshot.audio.limits import AudioLimits, LiveLimits
from earshot.audio.live import LiveDecoder
from earshot.classification import position as scored_position
from earshot.gen.v1 import classification_pb2, speech_pb2
from earshot.runtime.seals import Seals
from earshot.stt.streaming import position
from tests.fuzz import configs
from tests.fuzz.messages import READERS, RING, SCORED_SEALS, SEALS, taken_apart
from tests.fuzz.words import codecs, labels, masks

LIMITS: Final = AudioLimits(max_seconds=20.0)
FORMATS: Final = (AudioFormat(), *(AudioFormat(encoding, 16_000, 1) for encoding in Encoding))
ANY_SEALS: Final = Seals(RING, "fuzz", msgspec.Raw, 60.0, position.TOKEN_FIELD)


def audio(data: bytes) -> None:
    """A recording; its first byte says how it is said to be encoded."""
    stated = FORMATS[data[0] % len(FORMATS)] if data else FORMATS[0]
    heard: list[int] = []
    try:
        decode(data[1:], stated, LIMITS, lambda block: heard.append(block.size))
    except errors.InvalidArgumentError as error:
        assert error.reason.startswith("AUDIO_") or "MISMATCH" in error.reason, error.reason
        assert error.field.startswith(("content", "config.")), error.field
    assert sum(heard) <= LIMITS.max_seconds * 16_000


def live(data: bytes) -> None:
    """A stream; its first two bytes say how it is encoded and where it is cut."""
    stated, size = (FORMATS[data[0] % len(FORMATS)], 1 + data[1] * 8) if len(data) > 1 else (FORMATS[0], 1)
    decoder = LiveDecoder(stated, LiveLimits())
    try:
        for at in range(2, len(data), size):
            decoder.push(data[at : at + size])
        decoder.finish()
    except errors.InvalidArgumentError as error:
        assert error.field.startswith(("audio.content", "config.")), error.field
    finally:
        decoder.close()


def tokens(data: bytes) -> None:
    """A resume token as it comes, and content that was sealed and is of no version of ours."""
    config = speech_pb2.StreamingRecognitionConfig(resume_token=data.decode("latin-1"))
    scored = classification_pb2.StreamingClassifySpeechConfig(resume_token=config.resume_token)
    _refused(lambda: position.opened(config, "m", SEALS), config.resume_token)
    _refused(lambda: scored_position.opened(scored, SCORED_SEALS), config.resume_token)
    config.resume_token = scored.resume_token = ANY_SEALS.seal(msgspec.Raw(data))
    _refused(lambda: position.opened(config, "m", SEALS), "x")
    _refused(lambda: scored_position.opened(scored, SCORED_SEALS), "x")


def _refused(work: Callable[[], object], token: str) -> None:
    try:
        work()
    except errors.InvalidArgumentError as error:
        assert error.reason.startswith("RESUME_TOKEN_")
        return
    assert not token, "a token that nobody sealed was taken"


def messages(data: bytes) -> None:
    """A message of each kind, whatever it parses to."""
    for kind in READERS:
        taken_apart(kind, data)


def config(data: bytes) -> None:
    """Settings, and files, as an operator might have them; its first byte says which."""
    configs.KINDS[data[0] % len(configs.KINDS) if data else 0](data[1:])


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    one.__name__: one for one in (audio, live, tokens, labels, masks, codecs, messages, config)
}


def everything(data: bytes) -> None:
    """The target that the first byte says, for a run that is short."""
    every = list(TARGETS.values())
    every[data[0] % len(every) if data else 0](data[1:])
