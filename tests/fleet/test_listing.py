"""Which services there are, each once, and in which wave and shard."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twelvefold.errors import RefusedError
from twelvefold.fleet import listing
from twelvefold.fleet.config import Config, Declared, Wave, of
from twelvefold.fleet.listing import Listed, in_waves, key_of, listed, of_shard, only

BASE = Path("/srv/fleet")
names = st.lists(st.text("abcdefghij-", min_size=1, max_size=6), unique=True, max_size=40)


def fleet_of(*urls: str, **more: object) -> Config:
    content = {"template": "https://git.example.com/t", "services": [{"url": url} for url in urls], **more}
    return of(content, Path("fleet.toml"))


def some(wanted: list[str]) -> list[Listed]:
    return listed(fleet_of("x", *(f"https://git.example.com/a/{name}" for name in wanted)), BASE)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("https://git.example.com/a/pay", "https://git.example.com/a/pay.git"),
        ("https://git.example.com/a/pay", "https://GIT.example.com/a/pay/"),
        ("https://git.example.com/a/pay.git", "git@git.example.com:a/pay.git"),
        ("ssh://git@git.example.com:2222/a/pay", "git@git.example.com:a/pay.git"),
        ("git/pay.git", "./git/../git/pay.git"),
        ("git/pay", "git/pay/.git"),
    ],
)
def test_one_repository_is_listed_once_however_it_is_written(first: str, second: str) -> None:
    (one,) = listed(fleet_of(first, second), BASE)
    assert one.url == (first if ":" in first else str(BASE / first))


@pytest.mark.parametrize(
    "others",
    [
        ("https://git.example.com/a/pay", "https://git.example.com/b/pay"),
        ("https://git.example.com/a/pay", "https://git.example.com:8443/a/pay"),
        ("https://git.example.com/a/pay", "https://other.example.com/a/pay"),
        ("git/pay", "git2/pay"),
    ],
)
def test_two_repositories_are_two(others: tuple[str, str]) -> None:
    found = listed(fleet_of(*others), BASE)
    assert len({one.key for one in found}) == 2
    assert [one.name for one in found] == ["pay", "pay"]


def test_a_monorepo_has_a_service_a_folder() -> None:
    services = [{"url": "git/mono", "folder": folder} for folder in ("cart", "mail", "cart")]
    found = listed(fleet_of(services=services), BASE)
    assert [one.name for one in found] == ["mono/cart", "mono/mail"]


def test_what_is_declared_counts_before_what_is_discovered() -> None:
    there = [Declared(url=f"https://git.example.com/a/{name}.git") for name in ("pay", "mail")]
    config = fleet_of(services=[{"url": "https://git.example.com/a/pay", "heal": True}])
    mail, pay = listed(config, BASE, there)
    assert (pay.heal, pay.is_discovered) == (True, False)
    assert (mail.heal, mail.is_discovered) == (False, True)
    skipped = fleet_of(services=[{"url": "git@git.example.com:a/pay.git", "skip": True}])
    assert [one.name for one in listed(skipped, BASE, there)] == ["mail"]


def test_a_pattern_of_paths_finds_what_is_there(tmp_path: Path) -> None:
    for name in ("b.git", "a.git", "notes"):
        (tmp_path / name).mkdir()
    assert [one.name for one in listed(fleet_of("*.git"), tmp_path)] == ["a", "b"]
    with pytest.raises(RefusedError, match="The pattern none-\\* finds no repository"):
        listed(fleet_of("none-*"), tmp_path)


LETTERS = "aZ9 ./:-_é日\x1b\n"


@given(st.text(LETTERS, min_size=1), st.text(LETTERS))
def test_a_key_is_a_file_s_name_whatever_the_repository_is_called(url: str, folder: str) -> None:
    key = key_of(url, folder)
    assert len(key) <= 50
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not key.startswith("-")


@given(names, st.integers(1, 9))
def test_every_service_is_in_one_shard(wanted: list[str], count: int) -> None:
    services = some(wanted)
    parts = [of_shard(services, f"{number}/{count}") for number in range(1, count + 1)]
    assert sorted(one.key for part in parts for one in part) == sorted(one.key for one in services)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "1/0", "a/b", "-1/2", "1/2/3"])
def test_a_shard_that_is_none_is_refused(shard: str) -> None:
    with pytest.raises(RefusedError, match="--shard takes I/N"):
        of_shard([], shard)


shares = st.one_of(st.none(), st.floats(0, 1))
waves_ = st.lists(st.tuples(shares, st.sampled_from([(), ("a*",), ("*b*", "c")])), min_size=1, max_size=4)


@given(names, waves_)
def test_no_service_is_in_two_waves_and_the_last_takes_the_rest(
    wanted: list[str], shapes: list[tuple[float | None, tuple[str, ...]]]
) -> None:
    waves = [Wave(name=f"w{index}", share=share, services=of_) for index, (share, of_) in enumerate(shapes)]
    services = some(wanted)
    planned = in_waves(services, [*waves, Wave(name="rest")])
    assert sorted(one.key for _, members in planned for one in members) == sorted(one.key for one in services)
    for wave, members in planned:
        if wave.share is not None and not wave.services:
            assert len(members) <= wave.share * len(services) + 1


def test_a_share_is_counted_of_all_and_never_one_too_many() -> None:
    services = some([f"s{number}" for number in range(99)])
    (_, members), _ = in_waves(services, [Wave(name="few", share=0.07), Wave(name="rest")])
    assert len(services) == 100
    assert len(members) == 7


def test_each_wave_is_spread_over_all_shards() -> None:
    services = some([f"s{number}" for number in range(400)])
    (_, tenth), _ = in_waves(services, [Wave(name="tenth", share=0.1), Wave(name="rest")])
    spread = [len(of_shard(tenth, f"{number}/4")) for number in range(1, 5)]
    assert min(spread) >= 3, spread


def test_who_says_its_wave_is_in_it() -> None:
    config = fleet_of(
        services=[{"url": "git/a"}, {"url": "git/b", "wave": "late"}], waves=[{"name": "early"}, {"name": "late"}]
    )
    planned = in_waves(listed(config, BASE), config.waves)
    assert [[one.name for one in members] for _, members in planned] == [["a"], ["b"]]


def test_only_some_by_name() -> None:
    services = some(["pay", "pay-2", "mail"])
    assert [one.name for one in only(services, ["pay*"])] == ["pay", "pay-2"]
    with pytest.raises(RefusedError, match="--only nobody names no service"):
        only(services, ["pay", "nobody"])


def test_ten_thousand_services_are_listed_and_planned_in_no_time() -> None:
    there = [Declared(url=f"https://git.example.com/group-{number % 50}/s{number}.git") for number in range(10_000)]
    began = time.process_time()
    services = listed(fleet_of("git/own"), BASE, there)
    tenth = [Wave(name="canary", services=("s1?",)), Wave(name="tenth", share=0.1), Wave(name="rest")]
    planned = listing.in_waves(services, tenth)
    assert [len(members) for _, members in planned] == [10, 1001, 8990]
    assert time.process_time() - began < 3
