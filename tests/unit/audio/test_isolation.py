"""A stranger's file reaches no file, no network, no memory beyond its due, and nobody's terminal."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from av.stream import Discard

from earshot.audio import live, opening
from earshot.audio.containers import CONTAINERS, DECODERS, OPEN_OPTIONS
from earshot.errors import EarshotError, InvalidArgumentError
from tests.unit.audio.hostile import CONCAT, DASH, HLS, SDP
from tests.unit.audio.making import AUTO, box, caf, encoded, heard, mp4, s16, tone, wav
from tests.unit.audio.streaming import streamed

PLAYLISTS = {"hls": HLS, "concat": CONCAT, "dash": DASH, "sdp": SDP}


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port that takes note of whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)  # who connects is in the backlog at once
        yield server


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("sniffed", [True, False], ids=["sniffed", "libav alone"])
@pytest.mark.parametrize("target", ["file:///etc/passwd", "/etc/passwd", "http://127.0.0.1:{port}/a.ts"])
def test_playlists_are_refused_and_reach_nothing(
    kind: str, target: str, sniffed: bool, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = listener.getsockname()[1]
    playlist = PLAYLISTS[kind].format(url=target.format(port=port), port=port).encode()
    if not sniffed:
        monkeypatch.setattr(opening, "check_likeness", lambda data: None)
    with pytest.raises(InvalidArgumentError) as raised:
        heard(playlist)
    assert (raised.value.reason, raised.value.field) == ("AUDIO_NOT_RECOGNIZED", "content")
    with pytest.raises(TimeoutError):
        listener.accept()


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_streamed_playlists_reach_nothing(
    kind: str, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = listener.getsockname()[1]
    playlist = PLAYLISTS[kind].format(url=f"http://127.0.0.1:{port}/a.ts", port=port).encode()
    monkeypatch.setattr(live, "check_sound", lambda data: None)
    with pytest.raises(InvalidArgumentError) as raised:
        streamed([playlist])
    assert (raised.value.reason, raised.value.field) == ("AUDIO_NOT_RECOGNIZED", "audio.content")
    with pytest.raises(TimeoutError):
        listener.accept()


@pytest.mark.parametrize(
    "demuxer", ["hls", "concat", "dash", "sdp", "rtsp", "image2", "lavfi", "tedcaptions"]
)
def test_no_demuxer_of_references_is_allowed(demuxer: str) -> None:
    assert demuxer not in CONTAINERS


def test_even_an_allowed_playlist_demuxer_could_open_nothing(listener: socket.socket) -> None:
    """The second line: with every demuxer allowed, libav's own protocols are still closed."""
    target = f"http://127.0.0.1:{listener.getsockname()[1]}/a.ts"
    memory = opening._Memory(memoryview(HLS.format(url=target).encode()))
    options = {name: value for name, value in OPEN_OPTIONS.items() if name == "protocol_whitelist"}
    with pytest.raises(av.FFmpegError):
        av.open(memory, "r", format="hls", container_options=options, timeout=5)
    with pytest.raises(TimeoutError):
        listener.accept()


def test_the_trap_would_notice(listener: socket.socket) -> None:
    """Proof of the two tests above: without the options the same playlist does connect."""
    listener.settimeout(5)
    target = f"http://127.0.0.1:{listener.getsockname()[1]}/a.ts"
    script = (
        "import av, io, sys\n"
        f"try: av.open(io.BytesIO({HLS.format(url=target).encode()!r}), format='hls')\n"
        "except av.FFmpegError: pass\n"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        listener.accept()[0].close()
        process.kill()


def test_every_decoder_and_demuxer_is_known_to_libav() -> None:
    assert not DECODERS - av.codecs_available
    known = {name for names in av.formats_available for name in names.split(",")}
    assert not CONTAINERS.keys() - known


def test_only_decoders_of_sound_are_allowed() -> None:
    assert all(av.Codec(name, "r").type == "audio" for name in DECODERS)


def test_the_pictures_of_a_film_are_left_alone(shared: Path) -> None:
    film = (shared / "data/speech/nonspeech/bbb-5.1.mp4").read_bytes()
    with opening.opened(memoryview(film), AUTO, "config") as source:
        pictures = source.container.streams.video[0]
        assert pictures.discard == Discard.all
        assert pictures.codec_context.pix_fmt is None  # which libav learns by decoding one


def test_tables_of_gigabytes_stay_under_the_ceiling() -> None:
    """1.5 kB that declare 80 million samples of video: 2 GB of index, unless the process is bounded."""
    script = (
        "import resource, sys\n"
        "from earshot.audio.decoding import decode\n"
        "from earshot.audio.formats import AudioFormat\n"
        "from earshot.audio.limits import AudioLimits\n"
        "from earshot.audio.memory import bound_memory\n"
        "from earshot.errors import EarshotError\n"
        "bound_memory(256 << 20)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: decode(sys.stdin.buffer.read(), AudioFormat(), AudioLimits(), print)\n"
        "except EarshotError: print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], input=_bomb(80_000_000), capture_output=True, check=True
    )
    assert int(run.stdout) < 256
    assert run.stderr == b""


def test_bounded_memory_is_enough_for_an_hour() -> None:
    script = (
        "from earshot.audio.decoding import decode\n"
        "from earshot.audio.formats import AudioFormat, Encoding\n"
        "from earshot.audio.limits import AudioLimits\n"
        "from earshot.audio.memory import bound_memory\n"
        "data = bytes(8_000 * 3_600)\n"
        "bound_memory(64 << 20)\n"
        "print(decode(data, AudioFormat(Encoding.MULAW, 8_000), AudioLimits(), lambda block: None))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(run.stdout) == 3_600


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidArgumentError) as raised:
        heard(data)
    return raised.value.reason


def test_a_sample_a_packet_is_refused() -> None:
    """Each packet costs as much as one of a second, so a megabyte of them would cost minutes."""
    assert refusal(caf(tone(440, seconds=2.0), frames_a_packet=2)) == "AUDIO_TOO_COMPLEX"


def test_the_same_bytes_again_and_again_are_refused() -> None:
    """8 bytes of tables for each packet of a kilobyte, which is the same one every time."""
    amr = encoded("amr", "libopencore_amrnb", tone(440, 8_000), 8_000)[6:][:1_000]
    entry = box(b"samr", bytes(6), struct.pack(">H8x2H4xI", 1, 1, 16, 8_000 << 16))

    def repeated(count: int) -> bytes:
        sizes = box(b"stsz", struct.pack(f">3I{count}I", 0, 0, count, *[1_000] * count))
        places = box(b"stco", struct.pack(f">2I{count}I", 0, count, *[24] * count))
        return mp4(
            b"soun", entry, count, (box(b"stsc", struct.pack(">5I", 0, 1, 1, 1, 1)), sizes, places), amr
        )

    assert heard(repeated(50)).size > 0
    assert refusal(repeated(2_000)) == "AUDIO_TOO_COMPLEX"


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    mp3 = encoded("mp3", "libmp3lame", tone(440, 44_100), 44_100)
    for data in (
        mp3[:3_000] + bytes(1_000) + mp3[4_000:],
        wav(s16(tone(440)), channels=0),
        mp3[100:],
        b"\xff" * 999,
    ):
        try:
            heard(data, AUTO)
        except EarshotError:
            continue
    assert capfd.readouterr() == ("", "")


def _bomb(samples: int) -> bytes:
    """An MP4 of one video track whose samples all have the size that one field gives."""
    tables = (
        box(b"stsc", struct.pack(">5I", 0, 1, 1, samples, 1)),
        box(b"stsz", struct.pack(">3I", 0, 1, samples)),
        box(b"stco", struct.pack(">3I", 0, 1, 24)),
    )
    return mp4(
        b"vide", box(b"avc1", bytes(6), struct.pack(">H", 1), bytes(70)), samples, tables, bytes(1_000)
    )
