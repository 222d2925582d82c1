from __future__ import annotations

import json
import os
from pathlib import Path

import click
import pytest
from cookiecutter.utils import create_env_with_context
from hypothesis import given
from hypothesis import strategies as st

from environments import TEMPLATE
from twelvefold.errors import RefusedError
from twelvefold.memory import Answers, inert

CONTEXT = {"cookiecutter": json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))}


def remember(service: Path, text: str) -> Answers:
    (service / ".twelvefold").mkdir()
    (service / ".twelvefold/answers.json").write_text(text, encoding="utf-8")
    return Answers(service)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_stored_answer_renders_to_itself(answer: str) -> None:
    # The environment that cookiecutter renders answers in, before it asks or writes anything.
    environment = create_env_with_context(CONTEXT)
    assert environment.from_string(str(inert(answer))).render(cookiecutter={}) == answer


@pytest.mark.parametrize(
    "answer",
    [
        "<< cookiecutter.__class__ >>",
        "<% raw %><% endraw %><< 7 * 7 >>",
        "<# gone #>",
        '" >> << 7 * 7 >> "',
        "\\",
        "\\n",
        '<<"\\',
        "50 %",
        "{{ x }}",
        "two\nlines\r\n",
        "Привет 🎉",
    ],
)
def test_no_jinja_in_a_stored_answer_is_executed(answer: str, tmp_path: Path) -> None:
    stored = remember(tmp_path, json.dumps({"description": answer})).read()["description"]
    assert create_env_with_context(CONTEXT).from_string(stored).render(cookiecutter={}) == answer


def test_booleans_survive(tmp_path: Path) -> None:
    answers = remember(tmp_path, '{"database": true, "tasks": false}').read()
    assert json.dumps([answers["database"], answers["tasks"]]) == "[true, false]"


def test_without_a_memory_the_folder_gives_the_names(tmp_path: Path) -> None:
    (tmp_path / "pay-api").mkdir()
    assert Answers(tmp_path / "pay-api").read() == {"project_slug": "pay-api", "project_name": "Pay Api"}


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ({}, {"project_slug": "pay-api", "project_name": "Pay Api"}),
        ({"project_name": "Pay"}, {"project_slug": "pay-api", "project_name": "Pay"}),
        ({"project_slug": "pay"}, {"project_slug": "pay", "project_name": "Pay Api"}),
    ],
)
def test_a_name_that_is_not_stored_follows_from_the_folder(
    stored: dict[str, str], read: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "pay-api").mkdir()
    assert remember(tmp_path / "pay-api", json.dumps(stored)).read() == read


def test_a_folder_s_name_is_not_executed_either(tmp_path: Path) -> None:
    (tmp_path / "<< 7*7 >>").mkdir()
    stored = Answers(tmp_path / "<< 7*7 >>").read()["project_slug"]
    assert create_env_with_context(CONTEXT).from_string(stored).render(cookiecutter={}) == "<< 7*7 >>"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<<<<<<< ours", "is not JSON"),
        ("[]", "holds no JSON object"),
        ('{"_extensions": ["os.path"]}', "sets _extensions, which is the template's"),
        ('{"project_name": 1}', "project_name must be a text, true or false, not 1"),
        ('{"project_name": ["a"]}', "project_name must be a text"),
        (f'{{"project_name": {"[" * 900}{"]" * 900}}}', "project_name must be a text"),
        ("[" * 100_000, "is not JSON"),
        ('{"a":' * 100_000, "is not JSON"),
    ],
)
def test_a_memory_that_cannot_be_used_is_refused_in_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"answers\.json") as refusal:
        remember(tmp_path, text).read()
    assert said in refusal.value.message
    assert refusal.value.exit_code == 2


def test_a_memory_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    answers = remember(tmp_path, "{}")
    (tmp_path / ".twelvefold/answers.json").write_bytes(b"\xff\xfe")
    with pytest.raises(RefusedError, match="cannot be read"):
        answers.read()


def test_a_rollup_silences_the_hook_s_closing_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWELVEFOLD_QUIET", raising=False)
    Answers(tmp_path)
    assert os.environ["TWELVEFOLD_QUIET"] == "1"


def test_it_is_named_by_its_path(tmp_path: Path) -> None:
    assert str(Answers(tmp_path)) == str(tmp_path / ".twelvefold/answers.json")


def rendered(service: Path, **owners: str) -> Answers:
    """The answers of a service whose manifest gives each path, with / written as __, an owner."""
    answers = remember(service, '{"package_name": "pay"}')
    manifest = {path.replace("__", "/"): {"owner": owner} for path, owner in owners.items()}
    (service / ".twelvefold/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return answers


def test_a_service_as_the_manifest_says_is_read(tmp_path: Path) -> None:
    answers = rendered(tmp_path, Makefile="owned", src__chassis__a="owned", src__pay__api="seeded", gone="seeded")
    for folder in ("src/chassis", "src/pay"):
        (tmp_path / folder).mkdir(parents=True)
    for path in ("Makefile", "src/chassis/a", "src/pay/api"):
        (tmp_path / path).touch()
    (tmp_path / "theirs").symlink_to(tmp_path.parent)
    assert answers.read()["package_name"] == "pay"


@pytest.mark.parametrize(
    "linked", ["Makefile", "src", "src/chassis", ".twelvefold/applied", ".twelvefold/answers.json"]
)
@pytest.mark.parametrize("there", [True, False])
def test_a_link_that_would_be_followed_is_refused(linked: str, there: bool, tmp_path: Path) -> None:
    service, outside = tmp_path / "service", tmp_path / "outside"
    service.mkdir()
    answers = rendered(service, Makefile="merged", src__chassis__a="owned")
    if there:
        outside.mkdir()
    (service / linked).parent.mkdir(exist_ok=True)
    (service / linked).unlink(missing_ok=True)
    (service / linked).symlink_to(outside)
    with pytest.raises(RefusedError, match=rf"{linked} is a symbolic link"):
        answers.read()


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    answers = rendered(tmp_path, Makefile="owned")
    (tmp_path / "Makefile").mkdir()
    with pytest.raises(RefusedError, match="Makefile is not a file"):
        answers.read()


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    answers = rendered(tmp_path, src__chassis__a="owned")
    (tmp_path / "src").touch()
    with pytest.raises(RefusedError, match="src is not a folder"):
        answers.read()


def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="cannot be looked at"):
        rendered(tmp_path, **{"x" * 5000: "owned"}).read()


@pytest.mark.parametrize("manifest", ["{", "[]", '{"Makefile": "owned"}'])
def test_a_manifest_that_is_none_is_refused(manifest: str, tmp_path: Path) -> None:
    answers = rendered(tmp_path)
    (tmp_path / ".twelvefold/manifest.json").write_text(manifest, encoding="utf-8")
    with pytest.raises(RefusedError, match=r"manifest\.json .*git checkout -- \.twelvefold/manifest\.json"):
        answers.read()


def test_another_package_than_the_rendered_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r'rendered with src/old/.*"package_name": "old"'):
        rendered(tmp_path, src__old__api="seeded", src__chassis__a="owned").read()


def command(template: Path) -> click.Context:
    """What click knows while `scaraplate rollup` runs."""
    context = click.Context(click.Command("rollup"))
    context.params["template_dir"] = str(template)
    return context


@pytest.mark.parametrize("choice", ["travis", True])
def test_a_choice_that_is_none_is_refused_with_those_there_are(choice: object, tmp_path: Path) -> None:
    answers = remember(tmp_path, json.dumps({"ci": choice}))
    with command(TEMPLATE), pytest.raises(RefusedError, match=r"ci is .*change it to gitlab or github or jenkins"):
        answers.read()


def test_without_the_template_at_hand_choices_are_left_to_cookiecutter(tmp_path: Path) -> None:
    answers = remember(tmp_path, '{"ci": "travis"}')
    with command(tmp_path / "nowhere"):
        assert answers.read()["ci"] == "travis"
    assert answers.read()["ci"] == "travis"
