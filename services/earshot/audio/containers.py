"""What ffmpeg's libraries may be used for here: demuxers of real recordings, decoders of sound, no protocol.

Names are libav's own. What is not listed is never opened: playlists, network sources, devices, images,
subtitles, video.
"""

from __future__ import annotations

from typing import Final

from earshot.audio.formats import Encoding

RAW_DEMUXERS: Final = {
    Encoding.LINEAR16: "s16le",
    Encoding.LINEAR32F: "f32le",
    Encoding.MULAW: "mulaw",
    Encoding.ALAW: "alaw",
}
CONTAINERS: Final = {  # demuxer to what people call it
    **dict.fromkeys(RAW_DEMUXERS.values(), "raw samples"),
    "wav": "WAV",
    "w64": "Wave64",
    "aiff": "AIFF",
    "caf": "CAF",
    "au": "AU",
    "flac": "FLAC",
    "mp3": "MPEG audio",
    "ogg": "Ogg",
    "aac": "ADTS",
    "amr": "AMR",
    "mov": "MP4",
    "matroska": "WebM or Matroska",
    "avi": "AVI",
    "asf": "ASF",
    "mpegts": "MPEG transport stream",
}
# Nothing but samples: with a PCM codec their length follows from their size, whatever the header says.
SAMPLES_ONLY: Final = frozenset(["wav", "w64", "aiff", "caf", "au", *RAW_DEMUXERS.values()])

_PCM: Final = {
    1: ("u8", "s8", "mulaw", "alaw"),
    2: ("s16le", "s16be"),
    3: ("s24le", "s24be"),
    4: ("s32le", "s32be", "f32le", "f32be"),
    8: ("f64le", "f64be"),
}
PCM_BYTES: Final = {f"pcm_{name}": size for size, names in _PCM.items() for name in names}
"""PCM codec to the bytes of one coded sample."""

DECODERS: Final = frozenset(PCM_BYTES) | {
    *("aac", "aac_latm", "ac3", "eac3", "alac", "flac", "mp1float", "mp2float", "mp3float", "opus", "vorbis"),
    *("amrnb", "amrwb", "gsm", "gsm_ms", "g722", "speex", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt"),
    *("wmav1", "wmav2", "wmapro", "wmavoice"),
}

OPEN_OPTIONS: Final = {
    "protocol_whitelist": "none",  # the name of no protocol
    "format_whitelist": ",".join(CONTAINERS),
    "codec_whitelist": ",".join(sorted(DECODERS)),
}

STATED: Final = {  # encoding to its container and the start of its codec's name
    Encoding.WAV: ("wav", "pcm_"),
    Encoding.FLAC: ("flac", "flac"),
    Encoding.MP3: ("mp3", "mp3"),
    Encoding.OGG_OPUS: ("ogg", "opus"),
    Encoding.WEBM_OPUS: ("matroska", "opus"),
}

COUNTED: Final = frozenset({"flac", "aiff", "mov", "caf"})
"""Containers whose header counts the samples, so that a missing end is seen; WAV is looked at by itself."""
