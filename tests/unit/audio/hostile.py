"""Recordings as an attacker makes them: they name files and servers, or grow a thousandfold when unpacked."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from tests.unit.audio.making import box, encoded, mp4, tone, wav

HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n"
HLS_KEY = HLS.replace("#EXTINF", '#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF', 1)
HLS_MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n"
CONCAT = "ffconcat version 1.0\nfile '{url}'\n"
DASH = (
    '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'profiles="urn:mpeg:dash:profile:isoff-live:2011" mediaPresentationDuration="PT10S"><Period>'
    '<AdaptationSet><Representation id="1" bandwidth="1"><BaseURL>{url}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>"
)
SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
XXE = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "{url}">]><MPD>&b;</MPD>'
PLAYLISTS = {
    "hls": HLS,
    "hls key": HLS_KEY,
    "hls master": HLS_MASTER,
    "concat": CONCAT,
    "dash": DASH,
    "sdp": SDP,
    "xml entity": XXE,
    "pls": "[playlist]\nFile1={url}\nNumberOfEntries=1\n",
    "smil": '<smil><body><audio src="{url}"/></body></smil>',
}


def pointing(port: int) -> dict[str, bytes]:
    """What names ``/etc/passwd`` or a server on ``port`` and would have it fetched, by what it is."""
    targets = {"file": "file:///etc/passwd", "path": "/etc/passwd", "http": f"http://127.0.0.1:{port}/a.ts"}
    texts = {
        f"{kind}, {target}": text.format(url=url, port=port).encode()
        for kind, text in PLAYLISTS.items()
        for target, url in targets.items()
    }
    films = {f"film elsewhere, {target}": elsewhere(url) for target, url in targets.items()}
    return texts | films | {"film of films": reference_movie(targets["http"])}


def elsewhere(url: str) -> bytes:
    """A film whose samples lie in another file (QuickTime, data references)."""
    entry = box(b"sowt", bytes(6), struct.pack(">H8x2H4xI", 1, 1, 16, 8_000 << 16))
    tables = (
        box(b"stsc", struct.pack(">5I", 0, 1, 1, 400, 1)),
        box(b"stsz", struct.pack(">3I", 0, 2, 400)),
        box(b"stco", struct.pack(">3I", 0, 1, 24)),
    )
    path = url.removeprefix("file://").encode()
    alias = bytes(6) + struct.pack(">H", 150) + bytes(142) + struct.pack(">hH", 2, len(path)) + path
    alias += bytes(len(path) % 2) + struct.pack(">hH", -1, 0)
    reference = box(b"dinf", box(b"dref", struct.pack(">2I", 0, 1), box(b"alis", bytes(4), alias)))
    film = mp4(b"soun", entry, 400, (*tables,), bytes(800))
    # The reference goes in beside the tables, so every box around it grows.
    return _inserted(film, [b"moov", b"trak", b"mdia", b"minf"], reference)


def _inserted(film: bytes, path: list[bytes], more: bytes) -> bytes:
    grown, at = bytearray(film), 0
    for name in path:
        at = film.index(name, at)
        (size,) = struct.unpack_from(">I", grown, at - 4)
        struct.pack_into(">I", grown, at - 4, size + len(more))
    grown[at + 4 : at + 4] = more
    return bytes(grown)


def reference_movie(url: str) -> bytes:
    """A film that says where the real one is (QuickTime, reference movies)."""
    place = box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(url) + 1), url.encode(), b"\0")
    return box(b"ftyp", b"qt  ", bytes(4)) + box(b"moov", box(b"rmra", box(b"rmda", place)))


def bombs() -> dict[str, bytes]:
    """What is small and grows when it is unpacked, by what it is."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("speech.wav", wav(bytes(50_000_000)))
    return {
        "zip": archive.getvalue(),
        "gzip": zlib.compress(bytes(50_000_000), wbits=31),
        "matroska": packed_matroska(blocks=4, seconds=300),
        "id3": packed_picture(),
    }


def packed_matroska(blocks: int, seconds: int) -> bytes:
    """PCM of silence whose blocks are packed with zlib, as Matroska allows: 1 kB to 1 MB."""
    block = zlib.compress(bytes(seconds * 16_000), 9)  # 8-bit samples at 16 kHz: the bytes are the seconds
    packing = _element(0x6D80, _element(0x6240, _element(0x5034, _element(0x4254, b"\0"))))
    audio = _element(
        0xE1, _element(0xB5, struct.pack(">f", 16_000)), _element(0x9F, b"\1"), _element(0x6264, b"\x08")
    )
    track = _element(
        0xAE,
        *(_element(0xD7, b"\1"), _element(0x73C5, b"\1"), _element(0x83, b"\2")),
        *(_element(0x86, b"A_PCM/INT/LIT"), audio, packing),
    )
    clusters = [
        _element(
            0x1F43B675,
            _element(0xE7, struct.pack(">I", number * 30_000)),
            _element(0xA3, b"\x81\0\0\x80" + block),
        )
        for number in range(blocks)
    ]
    head = _element(0x1A45DFA3, _element(0x4282, b"matroska"))
    return head + _element(0x18538067, _element(0x1654AE6B, track), *clusters)


def _element(name: int, *parts: bytes) -> bytes:
    """One EBML element (RFC 8794), its size in eight bytes."""
    body = b"".join(parts)
    identity = name.to_bytes((name.bit_length() + 7) // 8, "big")
    return identity + struct.pack(">Q", 1 << 56 | len(body)) + body


def packed_picture() -> bytes:
    """An MP3 whose tag has a picture packed with zlib, and lies about its size."""
    picture = b"\0image/png\0\3\0" + bytes(20_000_000)
    packed = zlib.compress(picture, 9)
    frame = b"APIC" + struct.pack(">IH", len(packed) + 4, 0x0080) + struct.pack(">I", 0x7FFFFFFF) + packed
    size = len(frame)
    tag = b"ID3\3\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return tag + frame + encoded("mp3", "libmp3lame", tone(440), 16_000)
