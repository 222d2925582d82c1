import logging
import random

import pytest
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from chassis.telemetry import context
from chassis.telemetry.sampling import Sampler

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ROOT = context.new(None, None)
FOLLOWING = {flags: context.new(None, f"00-{TRACE}-{PARENT}-{flags}") for flags in ("00", "01")}


def sampler(name: str = "", argument: str = "") -> Sampler:
    return Sampler({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument})


@pytest.mark.parametrize(
    ("name", "argument", "root", "after_unsampled", "after_sampled"),
    [
        ("", "", True, False, True),
        ("always_on", "", True, True, True),
        ("always_off", "", False, False, False),
        ("traceidratio", "1", True, True, True),
        ("traceidratio", "0", False, False, False),
        ("traceidratio", "", True, True, True),
        ("parentbased_always_on", "", True, False, True),
        ("parentbased_always_off", "", False, False, True),
        ("parentbased_traceidratio", "1", True, False, True),
        ("parentbased_traceidratio", "0", False, False, True),
        (" Always_Off ", "", False, False, False),
    ],
)
def test_the_standard_s_samplers(
    name: str, argument: str, root: bool, after_unsampled: bool, after_sampled: bool
) -> None:
    decide = sampler(name, argument).decide
    assert (decide(ROOT), decide(FOLLOWING["00"]), decide(FOLLOWING["01"])) == (root, after_unsampled, after_sampled)


def test_nothing_set_is_the_standard_s_default() -> None:
    assert (Sampler({}).ratio, Sampler({}).follows_parent) == (1.0, True)


def test_a_ratio_is_kept_and_agrees_with_the_sdk_s() -> None:
    random.seed(1)
    ours, theirs = sampler("traceidratio", "0.1"), TraceIdRatioBased(0.1)
    ids = [context.new(None, None) for _ in range(10_000)]
    decided = [ours.decide(one) for one in ids]
    assert 820 < sum(decided) < 1180  # six standard deviations: the ids are random
    others = [theirs.should_sample(None, int(one.trace_id, 16), "").decision for one in ids]
    assert decided == [decision is Decision.RECORD_AND_SAMPLE for decision in others]


@pytest.mark.parametrize("argument", ["x", "nan", "-0.1", "1.1", "inf", "0,5", "1e999"])
def test_a_ratio_that_is_none_is_told_and_everything_is_traced(argument: str, caplog: pytest.LogCaptureFixture) -> None:
    assert sampler("traceidratio", argument).ratio == 1.0
    assert f"OTEL_TRACES_SAMPLER_ARG={argument} is no number from 0 to 1" in caplog.text


@pytest.mark.parametrize("name", ["jaeger_remote", "parentbased_jaeger_remote", "on", "parentbased_"])
def test_a_sampler_that_is_not_known_is_told(name: str, caplog: pytest.LogCaptureFixture) -> None:
    unknown = sampler(name, "0")
    assert (unknown.ratio, unknown.follows_parent) == (1.0, True)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"OTEL_TRACES_SAMPLER={name} is not known here" in caplog.text
