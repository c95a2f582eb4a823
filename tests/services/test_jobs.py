"""Child processes of jobs, and what they may read, without a server."""

import os
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedders.base import Item, Modality
from embedders.errors import ModelError
from services.runtime.errors import JobError, RequestError, SourceDeniedError
from services.runtime.evaluation_job import items_of
from services.runtime.jobs import Jobs, Reply
from services.runtime.operations import Reporter, WorkCancelledError
from services.runtime.pipes import Message
from services.runtime.sources import Sources

HERE = "tests.services.job_functions"
Seen = list[Mapping[str, Any]]


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    # children do not look into the current folder
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    return Jobs(tmp_path / "jobs", cores=2)


def run(jobs: Jobs, function: str, argument: Mapping[str, Any], seen: Seen | None = None) -> Any:
    notes: Seen = [] if seen is None else seen
    report = Reporter(Event(), lambda **fields: notes.append(fields))
    with jobs.scratch() as scratch:
        return jobs.run(f"{HERE}:{function}", argument, scratch, report, shout)


def shout(message: Message, report: Reporter) -> Reply:
    if message.kind == "refuse":
        raise ModelError("the model is away")
    return Reply({"word": message.fields["word"].upper()}, [message.blocks[0] * 2, b""])


def test_questions_answers_and_progress(jobs: Jobs) -> None:
    seen: Seen = []
    found = run(jobs, "talk", {"word": "hello"}, seen)
    assert found == {"word": "HELLO", "blocks": [200_000, 0], "threads": "2"}
    assert seen[0]["stage"] == "asking"
    assert seen[-1]["metrics"] == {"loss": 0.5}


def test_the_child_is_another_process_of_a_group_of_its_own(jobs: Jobs) -> None:
    found = run(jobs, "identity", {})
    assert found["pid"] != os.getpid()
    assert found["group"] == found["pid"]
    assert found["scratch"].startswith(str(jobs._folder))
    assert not Path(found["scratch"]).exists()
    assert ended(found["grandchild"])


def ended(pid: int) -> bool:
    """Whether a process is gone; an orphan may wait for ever for somebody to collect it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("refused", "the model is away"),
        ("raises", "ZeroDivisionError: division by zero"),
        ("starves", "ran out of memory"),
        ("exits", "ended with code 7"),
        ("crashes", "signal SIGSEGV"),
        ("missing", "AttributeError"),
    ],
)
def test_every_end_is_told(jobs: Jobs, function: str, said: str) -> None:
    with pytest.raises(JobError, match=said):
        run(jobs, function, {})


def test_a_job_that_ignores_sigterm_is_killed(jobs: Jobs) -> None:
    stop, pids = Event(), []

    def change(**fields: Any) -> None:
        pids.append(fields["done"])
        stop.set()

    with pytest.raises(WorkCancelledError), jobs.scratch() as scratch:
        jobs.run(f"{HERE}:stubborn", {}, scratch, Reporter(stop, change))
    assert ended(pids[0])


def test_what_a_killed_server_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "jobs/old").mkdir(parents=True)
    (tmp_path / "jobs/old/half").write_text("written")
    Jobs(tmp_path / "jobs", 1)
    assert not (tmp_path / "jobs").exists()


@given(st.lists(st.one_of(st.text(), st.binary()), max_size=8))
def test_items_survive_the_pipe(values: list[str | bytes]) -> None:
    items = [
        Item(Modality.TEXT if isinstance(value, str) else Modality.IMAGE, value) for value in values
    ]
    blocks = [value.encode() if isinstance(value, str) else value for value in values]
    names = [item.modality.value for item in items]
    assert items_of(b"".join(blocks), names, [len(block) for block in blocks]) == items


def test_sources(tmp_path: Path) -> None:
    (tmp_path / "a/inner").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "a/file").write_text("x")
    (tmp_path / "ab").write_text("x")
    (tmp_path / "linked").symlink_to(tmp_path / "a")
    (tmp_path / "a/loop").symlink_to(tmp_path / "a/loop")
    sources = Sources([tmp_path / "b", tmp_path / "linked"])
    expected = (tmp_path / "a/file").resolve()
    # a root may itself be a link, and its target is then meant
    for name in ("file", str(tmp_path / "linked/file"), str(tmp_path / "a/file"), "inner/../file"):
        assert sources.find(name) == expected
    for name in ("../ab", str(tmp_path / "ab"), "/", "..", "x/../../ab"):
        with pytest.raises(SourceDeniedError):
            sources.find(name)
    for name in ("", "a\0b", "nothing", "loop", "x" * 5000):
        with pytest.raises((RequestError, SourceDeniedError)):
            sources.find(name)
    with pytest.raises(SourceDeniedError, match="of no folder"):
        Sources([]).find("/etc/passwd")
