from pathlib import Path

from chassis.settings import load

from identity.settings import Settings

EXAMPLE = Path(__file__).parents[1] / ".env.example"


def test_the_example_of_an_environment_holds() -> None:
    lines = [line.removeprefix("#") for line in EXAMPLE.read_text(encoding="utf-8").splitlines()]
    example = dict(line.split("=", 1) for line in lines if line.startswith("APP_"))
    assert {f"APP_{name.upper()}" for name in Settings.model_fields} - {"APP_LOG_CONFIG"} <= example.keys()
    settings = load(Settings, environ=example)
    assert (settings.access_seconds, settings.refresh_seconds) == (15 * 60, 7 * 24 * 3600)
