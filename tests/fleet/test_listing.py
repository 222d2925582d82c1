"""Which services there are, each once, and in which wave and shard."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from twelvefold.errors import RefusedError
from twelvefold.fleet import listing
from twelvefold.fleet.config import Config, Declared, Wave, of
from twelvefold.fleet.listing import Listed, in_waves, key_of, listed, of_shard, only, refuse_unproved

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
        ("git.example.com:a/pay.git", "git@git.example.com:/a/pay.git"),
        ("https://git.example.com/1/pay", "git@git.example.com:1/pay"),
        ("https://git@git.example.com/a/pay", "https://git.example.com/a/pay"),
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
        if wave.share is not None:
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


WAVE_NAMES = ("a", "b", "c", "d")
patterns = st.sampled_from(["*", "s1*", "s[0-4]", "s?", "none*", "s3"])


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Some that can be used and some that cannot: services that name a wave or none, and waves of every shape."""
    count = draw(st.integers(1, 4))
    named = st.one_of(st.none(), st.sampled_from(WAVE_NAMES[:count]))
    services = [
        _without_none(url=f"https://git.example.com/a/s{number}", wave=draw(named), skip=draw(st.integers(0, 5)) == 0)
        for number in range(draw(st.integers(1, 15)))
    ]
    waves = [
        _without_none(
            name=name,
            share=draw(st.one_of(st.none(), st.none(), st.floats(0.001, 1))),
            services=draw(st.one_of(st.none(), st.none(), st.lists(patterns, min_size=1, max_size=2))),
        )
        for name in WAVE_NAMES[:count]
    ]
    return {"template": "https://git.example.com/t", "services": services, "waves": waves}


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def planned_of(content: dict[str, Any], discovered: list[Declared] | None = None) -> dict[str, list[str]]:
    """The names of the services in each wave. Raises RefusedError as a rollup does."""
    config = of(content, Path("fleet.toml"))
    services = listed(config, BASE, discovered or [])
    planned = in_waves(services, config.waves)
    refuse_unproved(services, planned)
    return {wave.name: [one.name for one in members] for wave, members in planned}


@given(configurations())
@settings(max_examples=400)
def test_each_service_is_in_exactly_one_wave_and_no_wave_begins_unproved(content: dict[str, Any]) -> None:
    try:
        planned = planned_of(content)
    except RefusedError:
        event("refused")
        return
    event("planned")
    going = [one for one in content["services"] if not one["skip"]]
    assert sorted(name for members in planned.values() for name in members) == sorted(
        one["url"].rpartition("/")[2] for one in going
    )
    for one in going:
        assert "wave" not in one or one["url"].rpartition("/")[2] in planned[one["wave"]]
    for wave in content["waves"][:-1]:
        pinned = {one["url"].rpartition("/")[2] for one in going if one.get("wave") == wave["name"]}
        if not wave.keys() & {"services", "share"}:
            assert set(planned[wave["name"]]) == pinned  # those that name it, and nobody else
    sizes = [len(planned[wave["name"]]) for wave in content["waves"]]
    begun = [number for number, size in enumerate(sizes) if size]
    assert all("share" in content["waves"][number] for number in range(max(begun, default=0)) if not sizes[number])
    assert not begun or begun[0] == 0


def fleet_in_waves(*waves: dict[str, Any], a: str | None = "canary", **more: Any) -> dict[str, Any]:
    """A fleet of the services a, b and c, of which `a` names a wave."""
    urls = {name: f"https://git.example.com/x/{name}" for name in "abc"}
    services = [_without_none(url=urls["a"], wave=a), {"url": urls["b"]}, {"url": urls["c"]}]
    return {"template": "https://git.example.com/t", "services": services, "waves": list(waves), **more}


CANARY, EARLY, REST = {"name": "canary"}, {"name": "early"}, {"name": "rest"}


def test_a_wave_that_services_name_takes_those_alone_and_the_last_the_rest() -> None:
    assert planned_of(fleet_in_waves(CANARY, REST)) == {"canary": ["a"], "rest": ["b", "c"]}


def test_the_last_wave_is_the_rest_though_some_name_it() -> None:
    tenth = {"name": "tenth", "share": 1.0}
    assert planned_of(fleet_in_waves(tenth, REST, a="rest")) == {"tenth": ["b", "c"], "rest": ["a"]}
    assert planned_of(fleet_in_waves({"name": "early", "services": ["b"]}, REST, a="rest")) == {
        "early": ["b"],
        "rest": ["a", "c"],
    }


def test_a_wave_that_what_is_discovered_names_takes_that_alone() -> None:
    there = [Declared(url="https://git.example.com/p/pay", wave="canary")]
    content = fleet_in_waves(CANARY, REST, a=None, discover=[{"gitlab": "p", "wave": "canary"}])
    assert planned_of(content, there) == {"canary": ["pay"], "rest": ["a", "b", "c"]}
    with pytest.raises(
        RefusedError, match=r"The wave canary has nobody in it: .* rest would begin with nothing proved"
    ):
        planned_of(content)


def test_patterns_and_a_share_are_a_share_of_those() -> None:
    content = fleet_in_waves({"name": "some", "services": ["[bc]"], "share": 0.1}, REST, a=None)
    planned = planned_of(content)
    assert (len(planned["some"]), set(planned["some"]) <= {"b", "c"}) == (1, True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (fleet_in_waves(CANARY, REST, a=None), "wave canary that nobody is in: .* canary and rest would"),
        (fleet_in_waves(CANARY, EARLY, REST), "wave early that nobody is in: .* early and rest would"),
        (fleet_in_waves(REST, {"name": "b", "services": ["*"]}, a=None), "wave rest that nobody is in: .* rest would"),
        (fleet_in_waves(CANARY), "one wave, canary, which some services name and which would take all others"),
        (fleet_in_waves(), "has no wave canary; it has none"),
        (fleet_in_waves(a=None), "has no wave, so that nobody is rolled up"),
        (fleet_in_waves({**CANARY, "services": []}, REST), r"wave canary with services = \[\], which takes nobody"),
        (fleet_in_waves({**CANARY, "share": 0}, REST), "wave canary with share = 0, which takes nobody"),
        (fleet_in_waves({**CANARY, "services": ["a", "aa"]}, REST), "'aa' in the wave canary names no service"),
        (fleet_in_waves({**CANARY, "services": [""]}, REST), "'' in the wave canary names no service"),
        (fleet_in_waves({**EARLY, "services": ["a"]}, a=None), '2 services are in no wave.*: b, c. Add .* "rest"'),
        (fleet_in_waves({**EARLY, "share": 0.3}, a="early"), "1 service is in no wave"),
        (fleet_in_waves({**EARLY, "services": ["a"]}, REST, a="rest"), "The wave early has nobody in it"),
    ],
)
def test_waves_that_would_prove_nothing_or_forget_somebody_are_refused(content: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        planned_of(content)


def test_a_canary_that_is_skipped_proves_nothing() -> None:
    content = fleet_in_waves(CANARY, REST)
    content["services"][0]["skip"] = True
    with pytest.raises(RefusedError, match="The wave canary has nobody in it: its services are skipped"):
        planned_of(content)


def test_many_that_are_in_no_wave_are_counted() -> None:
    services = [{"url": f"git/s{number}"} for number in range(40)]
    content = {"template": "t", "services": services, "waves": [{"name": "few", "services": ["s0"]}]}
    with pytest.raises(RefusedError, match=r"39 services are in no wave, .*: s1, s10, s11, s12, s13, \.\.\."):
        planned_of(content)


def test_a_share_for_which_nobody_is_left_stops_nobody() -> None:
    content = fleet_in_waves({"name": "early", "services": ["b", "c"]}, {"name": "tenth", "share": 0.1}, REST, a="rest")
    assert planned_of(content) == {"early": ["b", "c"], "tenth": [], "rest": ["a"]}


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
