"""Results on disk, whole or not there."""

from __future__ import annotations

import signal
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kill_points import each_point
from twelvefold.errors import FailedError
from twelvefold.fleet.results import Result, Results, TurnOutcome, without_report

texts = st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0x3000), max_size=20)
results = st.builds(
    Result,
    texts,
    texts,
    st.sampled_from(TurnOutcome),
    texts,
    drift=st.lists(texts).map(tuple),
    report=texts,
    seconds=st.floats(0, 9),
)


@given(results)
def test_what_is_kept_is_what_was_put(result: Result) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = Results(Path(folder)).put("pay", result)
        assert Results(Path(folder)).get("pay") == kept == result
        assert [path.name for path in Path(folder).iterdir()] == ["pay.json"]


def test_each_version_is_seen_once_since_when(tmp_path: Path) -> None:
    kept = Results(tmp_path / "new/results")
    for at, version in [("1", "0.1.0"), ("2", "0.1.0"), ("3", ""), ("4", "0.2.0"), ("5", "0.1.0")]:
        kept.put("pay", Result("pay", "u", TurnOutcome.IN_STEP, version=version, at=at))
    found = kept.get("pay")
    assert found
    assert found.versions == (("1", "0.1.0"), ("4", "0.2.0"), ("5", "0.1.0"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "a"}', '{"outcome": "gone", "drift": [], "versions": []}'])
def test_what_cannot_be_read_is_not_known(text: str, tmp_path: Path) -> None:
    (tmp_path / "pay.json").write_text(text)
    assert Results(tmp_path).get("pay") is None
    assert list(Results(tmp_path).all()) == []


def test_the_results_of_one_run(tmp_path: Path) -> None:
    kept = Results(tmp_path)
    for key, run in (("a", "1"), ("b", "2"), ("c", "2")):
        kept.put(key, Result(key, "u", TurnOutcome.IN_STEP, run=run, report="long", drift=("x",)))
    found = kept.of_run("2")
    assert sorted(found) == ["b", "c"]
    assert found["b"] == without_report(found["b"]) == Result("b", "u", TurnOutcome.IN_STEP, run="2")


def test_a_folder_that_takes_no_files_is_told(tmp_path: Path) -> None:
    (tmp_path / "results").symlink_to("/proc/self")
    with pytest.raises(FailedError, match="results cannot be written to: "):
        Results(tmp_path / "results").put("pay", Result("pay", "u", TurnOutcome.IN_STEP))
    (tmp_path / "file").touch()
    with pytest.raises(FailedError, match=r"pay\.json cannot be read: Not a directory"):
        Results(tmp_path / "file").get("pay")


def test_killed_at_any_moment_the_old_one_or_the_new_one_is_there(tmp_path: Path) -> None:
    old, new = (Result("pay", "u", TurnOutcome.IN_STEP, sentence=word * 50) for word in ("old", "new"))

    def put() -> tuple[int, str]:
        Results(tmp_path / "results").put("pay", new)
        return 0, ""

    ends = []
    for _, end in each_point(tmp_path, lambda: Results(tmp_path / "results").put("pay", old), put):
        ends.append(end.code)
        assert Results(tmp_path / "results").get("pay") in {old, replace(new, versions=())}
    assert set(ends) == {-signal.SIGKILL}
    assert len(ends) >= 3
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
