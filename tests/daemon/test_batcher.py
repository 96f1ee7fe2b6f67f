"""Items that wait together are written together, and each gets its own answer."""

import asyncio
from collections.abc import Sequence

import pytest

from daemon.batcher import Batcher, Full


class Notebook:
    """Writes groups when it is let; refuses the word 'bad'."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.refused = 0
        self.open = asyncio.Event()
        self.open.set()
        self.away = False

    async def write(self, items: Sequence[str]) -> Sequence[str]:
        await self.open.wait()
        if self.away:
            raise ConnectionRefusedError("away")
        if "bad" in items:
            self.refused += 1
            raise ValueError("bad")
        self.groups.append(list(items))
        return [item.upper() for item in items]


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


async def started(*submits: "asyncio.Task[str]") -> None:
    """All of them have reached the queue."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not any(one.done() for one in submits)


async def test_what_waits_together_is_written_together(notebook):
    batcher = Batcher("test", notebook.write)
    notebook.open.clear()
    first = asyncio.create_task(batcher.submit("a"))
    await started(first)
    others = [asyncio.create_task(batcher.submit(word)) for word in ("b", "c", "d")]
    await started(*others)
    notebook.open.set()
    assert await asyncio.gather(first, *others) == ["A", "B", "C", "D"]
    assert notebook.groups == [["a"], ["b", "c", "d"]]


async def test_nobody_is_answered_before_the_write(notebook):
    batcher = Batcher("test", notebook.write)
    notebook.open.clear()
    waiting = asyncio.create_task(batcher.submit("a"))
    await started(waiting)
    assert notebook.groups == []
    notebook.open.set()
    assert await waiting == "A"
    assert notebook.groups == [["a"]]


@pytest.mark.parametrize("place", [0, 3, 6], ids=["first", "in the middle", "last"])
async def test_one_bad_item_fails_alone(notebook, place):
    batcher = Batcher("test", notebook.write)
    words = [f"w{n}" for n in range(7)]
    words[place] = "bad"
    results = await asyncio.gather(*(batcher.submit(word) for word in words), return_exceptions=True)
    assert [isinstance(result, ValueError) for result in results] == [word == "bad" for word in words]
    assert sorted(word for group in notebook.groups for word in group) == sorted(set(words) - {"bad"})


async def test_a_server_that_is_away_is_asked_once_for_the_group(notebook):
    batcher = Batcher("test", notebook.write)
    notebook.away = True
    results = await asyncio.gather(*(batcher.submit(f"w{n}") for n in range(5)), return_exceptions=True)
    assert all(isinstance(result, ConnectionRefusedError) for result in results)
    notebook.away = False
    assert await batcher.submit("back") == "BACK"


async def test_too_much_waiting_is_refused_at_once(notebook):
    batcher = Batcher("test", notebook.write, waiting=2)
    notebook.open.clear()
    first = asyncio.create_task(batcher.submit("a"))
    await started(first)  # taken by the writer
    queued = [asyncio.create_task(batcher.submit(word)) for word in ("b", "c")]
    await started(*queued)
    with pytest.raises(Full):
        await batcher.submit("d")
    notebook.open.set()
    assert await asyncio.gather(first, *queued) == ["A", "B", "C"]


async def test_groups_have_a_limit(notebook):
    batcher = Batcher("test", notebook.write, group=3)
    await asyncio.gather(*(batcher.submit(f"w{n}") for n in range(8)))
    assert [len(group) for group in notebook.groups] == [3, 3, 2]


async def test_closing_answers_what_was_taken_and_takes_nothing_more(notebook):
    batcher = Batcher("test", notebook.write)
    notebook.open.clear()
    waiting = asyncio.create_task(batcher.submit("a"))
    await started(waiting)
    closing = asyncio.create_task(batcher.close())
    await started(closing)
    with pytest.raises(Full):
        await batcher.submit("late")
    notebook.open.set()
    await closing
    assert await waiting == "A"


async def test_a_submitter_who_leaves_disturbs_nobody(notebook):
    batcher = Batcher("test", notebook.write)
    notebook.open.clear()
    first, leaver, last = (asyncio.create_task(batcher.submit(word)) for word in ("a", "b", "c"))
    await started(first, leaver, last)
    leaver.cancel()
    notebook.open.set()
    assert await first == "A"
    assert await last == "C"
