"""What is paid, how often, and what is given back: the same in memory and in a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from earshot.quotas.ledger import KNOWN_SECONDS, LATE_SECONDS, NO_LIMIT, Ledger
from earshot.quotas.memory import MemoryLedger
from earshot.quotas.redis_ledger import RedisLedger
from earshot.quotas.types import Bill, Hold, Refused, Unit
from tests.redis_server import RedisServer

# Far ahead: Redis throws away what is past.
NOW = datetime(2099, 11, 25, 17, 46, 30, tzinfo=UTC).timestamp()
DAY = "2099-11-25"
A_HUNDRED = (NO_LIMIT, NO_LIMIT, 100)
NONE = (NO_LIMIT, NO_LIMIT, NO_LIMIT)


@pytest.fixture(params=["memory", "redis"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    with RedisServer(tmp_path) as server:
        made = RedisLedger(server.url, 30, 60, 400)
        yield made
        await made.close()


def hold(key: str, total: int, holder: str = "a", **rest: object) -> Hold:
    stated = {"unit": Unit.AUDIO, "rate": 100.0, **rest}
    return Hold(Bill("acme", "whisper", key=key, total=total, **stated), holder)  # type: ignore[arg-type]


async def minute(ledger: Ledger, now: float = NOW) -> int:
    return (await ledger.used("acme", Unit.AUDIO, now))[2]


async def test_a_bill_is_paid_in_full_or_not_at_all(ledger: Ledger) -> None:
    assert await ledger.pay(hold("one", 60), A_HUNDRED, NOW) is None
    assert await ledger.pay(hold("two", 41), A_HUNDRED, NOW) == Refused(2, 60, 41)
    assert await minute(ledger) == 60
    assert await ledger.pay(hold("three", 40), A_HUNDRED, NOW) is None
    assert await ledger.used("acme", Unit.AUDIO, NOW) == (100, 100, 100)
    assert await ledger.used("other", Unit.AUDIO, NOW) == (0, 0, 0)
    assert await ledger.used("acme", Unit.CHARACTERS, NOW) == (0, 0, 0)


async def test_of_two_windows_that_are_full_the_longest_is_named(ledger: Ledger) -> None:
    assert await ledger.pay(hold("one", 60), (70, 50, 50), NOW) == Refused(1, 0, 60)
    assert await ledger.pay(hold("one", 60), (50, 50, 50), NOW) == Refused(0, 0, 60)


async def test_the_next_minute_begins_at_nothing(ledger: Ledger) -> None:
    assert await ledger.pay(hold("one", 100), A_HUNDRED, NOW) is None
    assert await ledger.pay(hold("two", 100), A_HUNDRED, NOW + 30) is None
    assert await ledger.used("acme", Unit.AUDIO, NOW + 30) == (200, 200, 100)


async def test_a_key_is_paid_for_once(ledger: Ledger) -> None:
    for holder in ("a", "b", "c"):
        assert await ledger.pay(hold("one", 60, holder), A_HUNDRED, NOW) is None
    await ledger.complete(hold("one", 60, "c"))
    assert await ledger.pay(hold("one", 60, "d"), A_HUNDRED, NOW) is None
    await ledger.complete(hold("one", 60, "d"))
    assert await minute(ledger) == 60
    (account,) = await ledger.accounts("acme", [DAY])
    assert (account.used.calls, account.used.audio, account.used.cost) == (1, 60, 6000)


async def test_what_fails_is_given_back(ledger: Ledger) -> None:
    await ledger.pay(hold("one", 60), A_HUNDRED, NOW)
    await ledger.take_back(hold("one", 60))
    assert await ledger.used("acme", Unit.AUDIO, NOW) == (0, 0, 0)
    assert await ledger.pay(hold("one", 60), A_HUNDRED, NOW) is None
    assert await minute(ledger) == 60
    (account,) = await ledger.accounts("acme", [DAY])
    assert (account.used.calls, account.used.audio, account.used.cost) == (0, 60, 6000)


async def test_what_has_no_price_is_given_back_too(ledger: Ledger) -> None:
    await ledger.pay(hold("one", 60, rate=0.0), A_HUNDRED, NOW)
    await ledger.take_back(hold("one", 60, rate=0.0))
    assert await minute(ledger) == 0


async def test_who_is_late_takes_nothing_back_that_another_has_taken_over(ledger: Ledger) -> None:
    await ledger.pay(hold("one", 60, "first"), A_HUNDRED, NOW)
    await ledger.pay(hold("one", 60, "second"), A_HUNDRED, NOW)
    await ledger.take_back(hold("one", 60, "first"))
    assert await minute(ledger) == 60
    await ledger.take_back(hold("one", 60, "second"))
    assert await minute(ledger) == 0


async def test_what_has_been_answered_stays_paid(ledger: Ledger) -> None:
    """Or a caller would send the same once more, leave, and have it for nothing."""
    await ledger.pay(hold("one", 60, "first"), A_HUNDRED, NOW)
    await ledger.complete(hold("one", 60, "first"))
    await ledger.pay(hold("one", 60, "again"), A_HUNDRED, NOW)
    await ledger.take_back(hold("one", 60, "again"))
    assert await minute(ledger) == 60


async def test_the_other_service_takes_back_what_one_answer_was_paid_for(ledger: Ledger) -> None:
    bill = hold("one", 60).bill
    await ledger.pay(hold("one", 60), A_HUNDRED, NOW)
    await ledger.take_back_done(bill)
    assert await minute(ledger) == 60, "nothing has been answered yet"
    await ledger.complete(hold("one", 60))
    await ledger.take_back_done(bill)
    assert await minute(ledger) == 0
    for _ in range(2):
        await ledger.pay(hold("one", 60), A_HUNDRED, NOW)
        await ledger.complete(hold("one", 60))
    await ledger.take_back_done(bill)
    assert await minute(ledger) == 60, "two answers have gone out"


async def test_a_refund_goes_to_the_window_that_was_paid_in(ledger: Ledger) -> None:
    await ledger.pay(hold("one", 60), NONE, NOW)
    await ledger.pay(hold("two", 10), NONE, NOW + 30)
    await ledger.take_back(hold("one", 60))
    assert (await minute(ledger), await minute(ledger, NOW + 30)) == (0, 10)


async def test_who_finds_it_paid_gives_it_back_where_it_was_paid(ledger: Ledger) -> None:
    await ledger.pay(hold("one", 60, "first"), NONE, NOW)
    await ledger.pay(hold("two", 10), NONE, NOW + 30)
    await ledger.pay(hold("one", 60, "second"), NONE, NOW + 30)
    await ledger.take_back(hold("one", 60, "second"))
    assert (await minute(ledger), await minute(ledger, NOW + 30)) == (0, 10)


async def test_a_stream_pays_for_what_it_has_gone_on_by(ledger: Ledger) -> None:
    for total in (10, 25, 25, 60):
        assert await ledger.pay(hold("stream", total), A_HUNDRED, NOW) is None
        assert await minute(ledger) == total
    assert await ledger.pay(hold("stream", 101), A_HUNDRED, NOW) == Refused(2, 60, 41)
    assert await ledger.pay(hold("stream", 101), A_HUNDRED, NOW + 30) is None, "and later goes on"


async def test_a_stream_whose_account_is_lost_pays_from_where_it_goes_on(ledger: Ledger) -> None:
    assert await ledger.pay(hold("stream", 90, base=60), A_HUNDRED, NOW) is None
    assert await minute(ledger) == 30


async def test_what_is_heard_again_is_free_for_so_long(ledger: Ledger) -> None:
    await ledger.pay(hold("stream", 60), NONE, NOW)
    for used in (60, 60, 90):  # 30 again each time, and 60 are free
        await ledger.replay(hold("stream", 0, base=30).bill, 60)
        await ledger.pay(hold("stream", 60, base=30), NONE, NOW)
        assert await minute(ledger) == used


async def test_many_at_once_do_not_go_over_the_limit(ledger: Ledger) -> None:
    paid = await asyncio.gather(*(ledger.pay(hold(str(n), 7, str(n)), A_HUNDRED, NOW) for n in range(100)))
    assert sum(one is None for one in paid) == 14
    assert await minute(ledger) == 98


async def test_accounts_are_by_client_day_and_model(ledger: Ledger) -> None:
    await ledger.pay(hold("one", 60), NONE, NOW)
    await ledger.pay(hold("two", 60), NONE, NOW + 86_400)
    text = Bill("beta", "mini:lm", Unit.CHARACTERS, "three", 5, rate=10.0)
    await ledger.pay(Hold(text, "a"), NONE, NOW)
    await ledger.complete(Hold(text, "a"))
    of_all = await ledger.accounts("", [DAY])
    found = {(one.client, one.day, one.model): one.used for one in of_all}
    assert found.keys() == {("acme", DAY, "whisper"), ("beta", DAY, "mini:lm")}
    used = found["beta", DAY, "mini:lm"]
    assert (used.calls, used.audio, used.characters, used.cost) == (1, 0, 5, 50)
    assert len(await ledger.accounts("acme", [DAY, "2099-11-26"])) == 2
    assert await ledger.accounts("nobody", [DAY]) == []


async def test_in_memory_too_an_answered_bill_is_forgotten_after_a_while() -> None:
    """Or a replica's memory would grow with each call for hours. One that is still open stays."""
    clock = [0.0]
    ledger = MemoryLedger(lambda: clock[0])
    for key in ("answered", "again", "open"):
        await ledger.pay(hold(key, 10), NONE, NOW)
    for key in ("answered", "again"):
        await ledger.complete(hold(key, 10))
    clock[0] = KNOWN_SECONDS - 1
    await ledger.pay(hold("again", 10), NONE, NOW)
    await ledger.complete(hold("again", 10))
    assert await minute(ledger) == 30
    clock[0] = KNOWN_SECONDS
    for used, key in ((40, "new"), (40, "again"), (40, "open"), (50, "answered")):
        await ledger.pay(hold(key, 10), NONE, NOW)
        assert await minute(ledger) == used, key


async def test_in_memory_too_the_bill_of_a_stream_is_forgotten_after_its_end() -> None:
    """Each charge opens it again: without a word of its end it would stay until many others have come."""
    clock = [0.0]
    ledger = MemoryLedger(lambda: clock[0])
    await ledger.pay(hold("stream", 10), NONE, NOW)
    await ledger.complete(hold("stream", 10))
    await ledger.pay(hold("stream", 25), NONE, NOW)
    clock[0] = KNOWN_SECONDS
    await ledger.pay(hold("another", 1), NONE, NOW)
    assert await ledger.is_known("acme", "stream"), "it may go on"
    await ledger.complete(hold("stream", 25))
    clock[0] = 2 * KNOWN_SECONDS
    await ledger.pay(hold("a third", 1), NONE, NOW)
    assert not await ledger.is_known("acme", "stream")
    (account,) = await ledger.accounts("acme", [DAY])
    assert (account.used.calls, account.used.audio) == (1, 27), "it has ended, but was one call"


async def test_in_memory_too_a_window_is_forgotten_after_its_end() -> None:
    """There is another each minute, of each client. What has not ended stays."""
    ledger = MemoryLedger()
    await ledger.pay(hold("one", 10), NONE, NOW)
    await ledger.pay(hold("two", 1), NONE, NOW + LATE_SECONDS)
    assert await minute(ledger) == 10, "it may still be taken back"
    await ledger.pay(hold("three", 1), NONE, NOW + LATE_SECONDS + 60)
    assert await minute(ledger) == 0
    assert await ledger.used("acme", Unit.AUDIO, NOW + LATE_SECONDS) == (12, 12, 1)


async def test_answers_that_are_written_down_together_are_all_there_at_the_end(tmp_path: Path) -> None:
    """By the time that it is looked for, and by that of the process's end."""
    with RedisServer(tmp_path) as server:
        first, second = (RedisLedger(server.url, 30, 60, 400) for _ in range(2))
        bills = [hold(f"text {number}", 10, unit=Unit.CHARACTERS) for number in range(3)]
        for bill in bills:
            await first.pay(bill, NONE, NOW)
            await first.complete(bill)
        await first.take_back(bills[0])
        assert [account.used.calls for account in await second.accounts("acme", [DAY])] == [3]
        last = hold("the last", 10, unit=Unit.CHARACTERS)
        await first.pay(last, NONE, NOW)
        await first.complete(last)
        await first.close()
        (account,) = await second.accounts("acme", [DAY])
        assert (account.used.calls, account.used.characters) == (4, 40)
        await second.close()


async def test_answers_are_written_down_within_a_moment(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        first, second = (RedisLedger(server.url, 30, 60, 400) for _ in range(2))
        bill = hold("text", 10, unit=Unit.CHARACTERS)
        await first.pay(bill, NONE, NOW)
        await first.complete(bill)
        async with asyncio.timeout(30):
            while [one.used.calls for one in await second.accounts("acme", [DAY])] != [1]:
                await asyncio.sleep(0.01)
        await first.close()
        await second.close()
