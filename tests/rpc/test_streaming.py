"""Live streams over the wire, through a real listener: what is said, and that a break changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from earshot.gen.v1 import audio_pb2, streaming_pb2
from earshot.stt.types import SAMPLE_RATE, Samples
from tests.rpc.conftest import Start
from tests.rpc.fakes import guess
from tests.rpc.live import (
    PCM,
    Explicit,
    Heard,
    at,
    config,
    converse,
    converse_with_breaks,
    cut,
    flac,
    raw,
    seconds,
    silence,
    studio,
    talk,
    telephone,
)

STARTED, ENDED = (
    streaming_pb2.SpeechEvent.KIND_SPEECH_STARTED,
    streaming_pb2.SpeechEvent.KIND_SPEECH_ENDED,
)
TALK = talk()
CHUNKS = cut(TALK.tobytes())


async def test_finals_come_once_in_order_with_what_covers_them(start_speech: Start) -> None:
    async with start_speech("exact") as service:
        heard = await converse(service, config(), CHUNKS)
    assert len(heard.finals) >= 5
    assert heard.messages[0].acknowledgement.committed_sequence_number == 1
    assert heard.messages[0].acknowledgement.acked_sequence_number == 0
    assert heard.messages[0].acknowledgement.resume_token
    for message in heard.messages:
        assert not message.results or message.acknowledgement.resume_token
        for result in message.results:
            assert result.is_final
            assert at(message.acknowledgement.committed_offset) <= at(result.result_end_offset) + 0.1
            assert message.metadata.replica == "stt-test"
            assert message.metadata.selection.model == "exact"
            assert message.metadata.latency.HasField("inference")
    starts = [start for _, start, _ in heard.finals]
    assert starts == sorted(starts)
    committed = [(at(one.committed_offset), one.committed_sequence_number) for one in heard.tokens]
    assert committed == sorted(committed)


async def test_the_summary_counts_all(start_speech: Start) -> None:
    async with start_speech("exact") as service:
        heard = await converse(service, config(), CHUNKS)
    summary = heard.summary
    assert summary.complete
    assert summary.finals_sent == len(heard.finals)
    assert at(summary.audio_received) == pytest.approx(len(TALK) / SAMPLE_RATE)
    transcribed = sum(at(message.metadata.audio_duration) for message in heard.messages)
    assert at(summary.audio_transcribed) == pytest.approx(transcribed)
    assert transcribed < at(summary.audio_received) - 6
    assert heard.tokens[-1].acked_sequence_number == len(CHUNKS)


async def test_an_empty_stream_is_right(start_speech: Start) -> None:
    async with start_speech("crash") as service:
        heard = await converse(service, config(), [])
        assert len(heard.messages) == 2
        assert heard.summary == streaming_pb2.StreamSummary(
            audio_received=seconds(0), audio_transcribed=seconds(0), complete=True
        )
        assert (await converse(service, config(), [b"", b""])).summary.complete


async def test_silence_never_reaches_an_engine(start_speech: Start) -> None:
    """Which would fail; nor do clicks."""
    quiet = silence(30)
    quiet[:: 5 * SAMPLE_RATE] = 30_000
    async with start_speech("crash") as service:
        heard = await converse(service, config(voice_activity_events=True), cut(quiet.tobytes()))
    assert heard.finals == []
    assert heard.events == []
    assert at(heard.summary.audio_received) == 30
    assert at(heard.summary.audio_transcribed) == 0
    assert len(heard.tokens) > 5
    assert at(heard.tokens[-2].committed_offset) > 25


async def test_events_say_when_somebody_speaks(start_speech: Start) -> None:
    async with start_speech() as service:
        heard = await converse(service, config(voice_activity_events=True), CHUNKS)
        without = await converse(service, config(), CHUNKS)
    kinds = [kind for kind, _ in heard.events]
    assert kinds == [STARTED, ENDED] * (len(kinds) // 2)
    assert kinds
    times = [time for _, time in heard.events]
    assert times == sorted(times)
    assert times[0] == pytest.approx(0.7 + 0.3, abs=0.3)
    assert times[-1] <= len(TALK) / SAMPLE_RATE
    assert heard.finals == without.finals
    assert without.events == []


async def test_interims_come_while_speech_goes_on_and_end_with_its_final(start_speech: Start) -> None:
    async with start_speech() as service:
        heard = await converse(service, config(interim_results=True), CHUNKS)
        without = await converse(service, config(), CHUNKS)
    assert heard.finals == without.finals
    interims = [message for message in heard.messages if message.results and not message.results[0].is_final]
    assert interims
    latest_final = 0.0
    for message in heard.messages:
        for result in message.results:
            if result.is_final:
                latest_final = at(result.result_end_offset)
            else:
                assert result.stability in (pytest.approx(0.9), pytest.approx(0.1))
                assert at(result.result_end_offset) > latest_final  # of what comes, not of what was
                assert not message.acknowledgement.resume_token


async def test_interims_give_way_where_an_engine_is_busy(start_speech: Start) -> None:
    """At the first stretch nobody waits; from then on there is always a final to come."""
    async with start_speech("slow") as service:
        heard = await converse(service, config(interim_results=True), CHUNKS[:120])
    kinds = [message.results[0].is_final for message in heard.messages if message.results]
    assert kinds == [True] * len(kinds)
    assert len(kinds) >= 3


# Breaks.


class Sent:
    """How some samples are sent, and sent again after a break."""

    def __init__(
        self,
        recognition: audio_pb2.RecognitionConfig,
        encode: Callable[[Samples], bytes],
        size: int = 3200,
        *,
        anew: bool = False,
    ) -> None:
        self.config = config(recognition)
        self.config.audio_from_committed_offset = anew
        self._encode, self._size, self._anew = encode, size, anew
        self.chunks = cut(encode(TALK), size)

    def rest(self, last: streaming_pb2.StreamAcknowledgement) -> tuple[int, list[bytes]]:
        number = last.committed_sequence_number
        if not self._anew or not last.resume_token:
            return number, self.chunks[number - 1 :]
        position = at(last.committed_offset) * SAMPLE_RATE
        assert position == pytest.approx(round(position), abs=1e-3)
        return number, cut(self._encode(TALK[round(position) :]), self._size)


def _pcm(samples: Samples) -> bytes:
    return samples.tobytes()


AUTO = audio_pb2.RecognitionConfig()
STUDIO = raw(Explicit.AUDIO_ENCODING_LINEAR16, 48_000, 2)
TELEPHONE = raw(Explicit.AUDIO_ENCODING_MULAW, 8_000)
WAYS = {
    "raw": Sent(PCM, _pcm),
    "raw, odd chunks": Sent(PCM, _pcm, 3333),
    "raw, large chunks": Sent(PCM, _pcm, 400_000),
    "48 kHz stereo": Sent(STUDIO, studio, 19_200),
    "mu-law": Sent(TELEPHONE, telephone, 801),
    "FLAC": Sent(AUTO, flac, 4000),
    "raw made anew": Sent(PCM, _pcm, anew=True),
    "FLAC made anew": Sent(AUTO, flac, 4000, anew=True),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_break_at_any_message_loses_and_doubles_nothing(start_speech: Start, way: str) -> None:
    """To the sample: each final tells what samples the engine has had."""
    sent = WAYS[way]
    async with start_speech("exact") as service:
        whole = await converse(service, sent.config, sent.chunks)
        broken = await converse_with_breaks(service, sent.config, sent.rest)
    assert len(whole.finals) >= 5
    assert len(broken.tokens) > len(broken.finals)
    _same(broken, whole)


def _same(one: Heard, other: Heard) -> None:
    assert one.finals == other.finals
    assert one.summary == other.summary


async def test_the_language_is_found_once_whatever_breaks(start_speech: Start) -> None:
    sent = WAYS["raw"]
    async with start_speech("guessing") as service:
        whole = await converse(service, sent.config, sent.chunks)
        broken = await converse_with_breaks(service, sent.config, sent.rest)
    guessed = [guess(int(text, 16)) for text, _, _ in whole.finals]
    assert set(guessed) == {"en", "de"}, "by themselves the stretches must differ"
    assert set(whole.languages) == {guessed[0]}
    assert broken.languages == whole.languages
    _same(broken, whole)


async def test_one_can_go_on_from_any_token_again_and_again(start_speech: Start) -> None:
    """A token is not used up, and holds also where later ones were lost."""
    async with start_speech("exact") as service:
        whole = await converse(service, config(), CHUNKS)
        known = 0
        for index, message in enumerate(whole.messages):
            known += len(message.results)
            token = message.acknowledgement
            if not token.resume_token or index % 3:
                continue
            again = config()
            again.resume_token = token.resume_token
            number = token.committed_sequence_number
            rest = await converse(service, again, CHUNKS[number - 1 :], number)
            assert rest.finals == whole.finals[known:]
            assert rest.summary == whole.summary


async def test_all_ways_hear_the_same_words(start_speech: Start) -> None:
    """Which container and what chunks it comes in matters to nobody."""
    async with start_speech("exact") as service:
        first, *others = [
            (await converse(service, WAYS[way].config, WAYS[way].chunks)).finals
            for way in ("raw", "raw, odd chunks", "raw, large chunks", "FLAC")
        ]
    assert all(other == first for other in others)


async def test_what_is_cut_from_the_talk_is_in_the_finals(start_speech: Start) -> None:
    """Between the finals there is silence alone."""
    async with start_speech("exact") as service:
        heard = await converse(service, config(), CHUNKS)
    left = TALK.astype(np.int32)
    for _, start, end in heard.finals:
        left[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = 0
    assert np.abs(left).mean() < 60
    assert np.abs(TALK.astype(np.int32)).mean() > 600
