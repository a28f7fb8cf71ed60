"""Who has a slot and who waits."""

from __future__ import annotations

import asyncio

import pytest

from gazeheads.live.slots import BusyError, Slots
from live.serving import finished


def test_slots_go_to_those_who_came_first_and_the_queue_is_bounded() -> None:
    async def visits() -> tuple[list[int], list[int]]:
        slots, order, places = Slots(1, 2), [], []
        leave = asyncio.Event()

        async def visit(number: int) -> None:
            async with slots.take(places.append):
                order.append(number)
                await leave.wait()

        tasks = [asyncio.create_task(visit(number)) for number in range(3)]
        await asyncio.sleep(0)
        assert (order, places, slots.waiting) == ([0], [0, 1], 2)
        with pytest.raises(BusyError, match="2 others"):
            async with slots.take(places.append):
                pass
        leave.set()
        await asyncio.gather(*tasks)
        return order, places

    order, places = finished(visits)
    assert order == [0, 1, 2]
    assert places == [0, 1, 0]  # the last one moved up


def test_one_who_gives_up_while_waiting_leaves_no_gap() -> None:
    async def visits() -> int:
        slots = Slots(1, 5)
        async with slots.take(lambda ahead: None):

            async def visit() -> None:
                async with slots.take(lambda ahead: None):
                    pass

            waiting = [asyncio.create_task(visit()) for _ in range(2)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            await asyncio.sleep(0)
            assert slots.waiting == 1
        await asyncio.wait_for(waiting[1], 5)
        async with asyncio.timeout(5), slots.take(lambda ahead: None):
            return slots.waiting

    assert finished(visits) == 0
