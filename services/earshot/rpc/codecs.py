"""What audio is encoded as, as far as its first bytes tell: for figures, never for a decision."""

from __future__ import annotations

from typing import Final

from earshot.gen.v1 import audio_pb2

_PREFIX: Final = "AUDIO_ENCODING_"
_OTHER: Final = "other"
_HEAD: Final = 4096  # bytes; a WebM file names its codec in its track list, which comes first
_Encoding = audio_pb2.ExplicitDecodingConfig

CODECS: Final = frozenset(
    {name.removeprefix(_PREFIX).lower() for name in _Encoding.AudioEncoding.keys()}  # noqa: SIM118 - no mapping
    - {"unspecified"}
) | {_OTHER}
"""All that :func:`codec_of` gives: the encodings of the API in lower case, and ``other``."""


def codec_of(config: audio_pb2.RecognitionConfig, content: bytes) -> str:
    """The encoding that ``config`` states, else the one that ``content`` looks like; one of ``CODECS``."""
    stated = config.explicit_decoding_config.encoding
    if stated:
        known = stated in _Encoding.AudioEncoding.values()
        return _Encoding.AudioEncoding.Name(stated).removeprefix(_PREFIX).lower() if known else _OTHER
    return _likeness(content[:_HEAD])


def _likeness(head: bytes) -> str:
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == b"OggS" and b"OpusHead" in head[:64]:
        return "ogg_opus"
    if head[:4] == b"\x1aE\xdf\xa3" and b"A_OPUS" in head:
        return "webm_opus"
    return "mp3" if head[:3] == b"ID3" or _is_frame(head) else _OTHER


def _is_frame(head: bytes) -> bool:
    """MPEG audio layer III: eleven bits of sync, then version and layer (ISO/IEC 11172-3, 2.4.2.3)."""
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2
