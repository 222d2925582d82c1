"""The merge itself, on parsed data: last applied, template and service give what the file should say.

As `kubectl apply` does it; https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/. Formats
read their text into mappings, lists and scalars, and write the difference back.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from twelvefold.decisions import Decision, Outcome
from twelvefold.strategies.rules import Kind, Path, Rules, shown_path

Data = Any  # a mapping with text keys, a list, or a scalar; ABSENT for none


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


def merge(base: Data, template: Data, service: Data, rules: Rules) -> tuple[Data, list[Decision]]:
    """Return what `service` should say, and what was decided against somebody's edit.

    `base` is what the template said the last time, ABSENT if nobody knows. The arguments are not changed; the
    result shares their parts.
    """
    merging = _Merge(rules)
    return merging.value((), base, template, service), merging.decisions


def same(one: Data, other: Data) -> bool:
    """Whether both say the same: types count, the order of keys does not."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or (one != one and other != other)


def identities(by: tuple[str, ...], *lists: list[Data]) -> list[dict[str, Data]]:
    """Map identity → member for each list. A name that a list has twice is told apart by more than the name."""
    names = [[_name(by, member) for member in members] for members in lists]
    doubled = {name for each in names for name, count in Counter(each).items() if count > 1}
    return [_numbered(by, each, members, doubled) for each, members in zip(names, lists, strict=True)]


def _numbered(by: tuple[str, ...], names: list[str], members: list[Data], doubled: set[str]) -> dict[str, Data]:
    found: dict[str, Data] = {}
    for name, member in zip(names, members, strict=True):
        full = f"{name} ({_more(by, member)})" if name in doubled else name
        number = 1
        while (full if number == 1 else f"{full} #{number}") in found:
            number += 1
        found[full if number == 1 else f"{full} #{number}"] = member
    return found


def _name(by: tuple[str, ...], member: Data) -> str:
    if by == ("requirement",) and isinstance(member, str):
        return _requirement_name(member)
    if isinstance(member, Mapping):
        for key in by:
            if key in member:
                return _text(member[key]).partition("@")[0] if key == "uses" else _text(member[key])
    return member if isinstance(member, str) else _text(member)


def _requirement_name(text: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement  # slow to import, and for merges alone
    from packaging.utils import canonicalize_name

    try:
        return canonicalize_name(Requirement(text).name)
    except InvalidRequirement:
        return text


def _more(by: tuple[str, ...], member: Data) -> str:
    if by == ("requirement",) and isinstance(member, str):
        from packaging.requirements import InvalidRequirement, Requirement

        try:
            requirement = Requirement(member)
        except InvalidRequirement:
            return member
        return f"{','.join(sorted(requirement.extras))};{requirement.marker or ''}"
    return "again" if isinstance(member, Mapping) else _text(member)


def _text(value: Data) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _shown(value: Data) -> str | None:
    return None if value is ABSENT else _text(value)


def is_filled(value: Data) -> bool:
    """Whether a value is a list with members."""
    return isinstance(value, list) and bool(value)


class _Merge:
    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.decisions: list[Decision] = []

    def decide(self, outcome: Outcome, path: Path, service: Data, template: Data) -> None:
        self.decisions.append(Decision(outcome, key=shown_path(path), yours=_shown(service), template=_shown(template)))

    def value(self, path: Path, base: Data, template: Data, service: Data) -> Data:
        if same(template, service):
            return service
        rule = self.rules.at(path)
        if rule.kind is Kind.OWNED:
            return self.owned(path, base, template, service)
        if rule.kind is Kind.MEMBERS and isinstance(template, list) and service is ABSENT:
            return template if base is ABSENT else self.returned(path, template)
        if rule.kind is Kind.MEMBERS and isinstance(template, list) and isinstance(service, list):
            return self.members(path, base if isinstance(base, list) else [], template, service)
        if rule.kind is Kind.MEMBERS and template is ABSENT and isinstance(base, list) and is_filled(service):
            return self.members(path, base, [], service) or ABSENT
        if self.is_mapping(path, base, template, service):
            return self.mapping(path, base if isinstance(base, dict) else {}, template, service)
        if rule.kind is Kind.TEAM:
            return template if base is ABSENT and service is ABSENT else service
        return self.leaf(path, base, template, service)

    def owned(self, path: Path, base: Data, template: Data, service: Data) -> Data:
        if not same(base, service):
            outcome = Outcome.RETURNED if service is ABSENT else Outcome.HEALED
            self.decide(outcome, path, service, template)
        return template

    def returned(self, path: Path, template: Data) -> Data:
        self.decide(Outcome.RETURNED, path, ABSENT, template)
        return template

    def is_mapping(self, path: Path, base: Data, template: Data, service: Data) -> bool:
        """Whether to go on key by key. A whole mapping that one side lacks is one edit, unless rules reach into it."""
        if isinstance(template, dict) and isinstance(service, dict):
            return True
        if isinstance(template, dict) and service is ABSENT:
            return base is not ABSENT and self.rules.forces_below(path)
        dropped = template is ABSENT and isinstance(base, dict) and isinstance(service, dict)
        return dropped and self.rules.at(path[:-1]).kind is not Kind.MEMBERS

    def mapping(self, path: Path, base: dict[str, Data], template: Data, service: Data) -> Data:
        ours = service if service is not ABSENT else {}
        theirs = template if template is not ABSENT else {}
        members = self.rules.at(path).kind is Kind.MEMBERS
        deleted = {key for key in theirs if members and key in base and key not in ours}  # put back as a whole
        result = {
            key: self.value((*path, key), base.get(key, ABSENT), theirs.get(key, ABSENT), ours.get(key, ABSENT))
            if key not in deleted and (service is not ABSENT or self.rules.forces_below((*path, key)))
            else ABSENT
            for key in [*ours, *(key for key in theirs if key not in ours)]
        }
        if members:
            self.put_back(path, theirs, result)
        kept = {key: value for key, value in result.items() if value is not ABSENT}
        return kept if kept or (service is not ABSENT and template is not ABSENT) else ABSENT

    def put_back(self, path: Path, template: Mapping[str, Data], result: dict[str, Data]) -> None:
        for key, member in template.items():
            if result.get(key, ABSENT) is ABSENT:
                result[key] = self.returned((*path, key), member)

    def leaf(self, path: Path, base: Data, template: Data, service: Data) -> Data:
        if same(template, base):
            return service
        if same(service, base):
            return template
        self.decide(Outcome.KEPT, path, service, template)
        return service

    def members(self, path: Path, base: list[Data], template: list[Data], service: list[Data]) -> list[Data]:
        was, theirs, ours = identities(self.rules.at(path).by, base, template, service)
        ours = self.gathered(path, was, theirs, ours)
        result = {
            name: self.value((*path, name), was.get(name, ABSENT), theirs.get(name, ABSENT), member)
            for name, member in ours.items()
        }
        result = {name: member for name, member in result.items() if member is not ABSENT}
        for name in theirs:
            if name not in result:
                if name in was:
                    self.returned((*path, name), theirs[name])
                result = inserted(result, name, theirs)
        return list(result.values())

    def gathered(
        self, path: Path, base: dict[str, Data], template: dict[str, Data], service: dict[str, Data]
    ) -> dict[str, Data]:
        """`service` with the template's members of a member where they belong, and not in a second one of its name.

        `nitpick fix` gives a hook that was dropped such a second entry.
        """
        by, result = self.rules.at(path).by, dict(service)
        for second in [one for one, member in service.items() if one not in template and isinstance(member, dict)]:
            named = _name(by, service[second])
            first = next((one for one in template if one in service and _name(by, template[one]) == named), None)
            if first is not None:
                for key in service[second]:
                    self.gather((*path, first, key), (base.get(first, {}), template[first]), result, second)
                emptied = result[second] is not service[second]
                if emptied and not any(value for key, value in result[second].items() if key not in by):
                    del result[second]
        return result

    def gather(self, path: Path, known: tuple[Data, Data], members: dict[str, Data], second: str) -> None:
        """Move what the template said or says at `path`, and the team has only in `second`, to where it is `known`."""
        first, key, rule = path[-2], path[-1], self.rules.at(path)
        sides = [side.get(key, []) for side in (*known, members[first], members[second])]
        if rule.kind is not Kind.MEMBERS or not all(isinstance(side, list) for side in sides):
            return
        was, theirs, ours, astray = identities(rule.by, *sides)
        for name in [one for one in astray if one in theirs and one not in ours]:
            if any(same(astray[name], side.get(name, ABSENT)) for side in (was, theirs)):
                ours = inserted(ours, name, {**theirs, name: astray.pop(name)})
                note = f"moved {shown_path((*path, name))} to the others: it stood in a second entry"
                self.decisions.append(Decision(Outcome.MOVED, key=shown_path((*path, name)), note=note))
                members[first] = {**members[first], key: list(ours.values())}
                members[second] = {**members[second], key: list(astray.values())}


def inserted(members: Mapping[str, Data], name: str, order: Mapping[str, Data]) -> dict[str, Data]:
    """`members` with `order[name]` behind its neighbour before it in `order`, or before the one behind it."""
    names = list(order)
    place = names.index(name)
    before = next((one for one in reversed(names[:place]) if one in members), None)
    after = next((one for one in names[place + 1 :] if one in members), None)
    result: dict[str, Data] = {}
    for one, member in members.items():
        if before is None and one == after:
            result[name] = order[name]
        result[one] = member
        if one == before:
            result[name] = order[name]
    return result if name in result else {**result, name: order[name]}
