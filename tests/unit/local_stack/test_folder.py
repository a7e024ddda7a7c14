from pathlib import Path

import pytest
from local_stack import FolderInUseError
from local_stack.folder import Owner, StackFolder


def test_a_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    first, second = StackFolder(tmp_path), StackFolder(tmp_path)
    first.acquire()
    first.write_owner(Owner(4711, detached=False, servers=("kafka",)))
    with pytest.raises(FolderInUseError, match="in use by process 4711"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_who_started_a_stack_is_remembered(tmp_path: Path) -> None:
    owner = Owner(4711, detached=True, servers=("kafka", "valkey"))
    StackFolder(tmp_path).write_owner(owner)
    assert StackFolder(tmp_path).owner() == owner


@pytest.mark.parametrize("note", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "detached": true, "servers": 3}'])
def test_a_note_that_makes_no_sense_is_nobodys(tmp_path: Path, note: str) -> None:
    (tmp_path / "stack.json").write_text(note)
    assert StackFolder(tmp_path).owner() is None


def test_a_folder_is_the_same_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert StackFolder(tmp_path / "link").path == StackFolder(tmp_path / "real").path
