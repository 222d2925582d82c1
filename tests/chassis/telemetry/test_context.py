import pytest

from chassis.telemetry import context

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_request_without_headers_gets_ids_of_its_own() -> None:
    one, other = context.new(None, None), context.new(None, None)
    assert one.request_id == one.trace_id != other.trace_id
    assert (len(one.trace_id), len(one.span_id), one.sampled, one.parent_id) == (32, 16, False, None)


@pytest.mark.parametrize("request_id", ["a", "A-b_c.d:1", "x" * 128])
def test_a_well_formed_request_id_is_kept(request_id: str) -> None:
    assert context.new(request_id, None).request_id == request_id


@pytest.mark.parametrize("request_id", ["", "x" * 129, "a b", "a\nb", "é", '"', "a\r\nSet-Cookie: x=1"])
def test_a_malformed_request_id_is_replaced(request_id: str) -> None:
    ids = context.new(request_id, None)
    assert ids.request_id == ids.trace_id


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("03", True), ("02", False)])
def test_the_caller_s_trace_is_continued(flags: str, sampled: bool) -> None:
    ids = context.new(None, f"00-{TRACE}-{PARENT}-{flags}")
    assert (ids.trace_id, ids.parent_id, ids.sampled) == (TRACE, PARENT, sampled)
    assert ids.span_id != PARENT
    assert ids.traceparent == f"00-{TRACE}-{ids.span_id}-{int(sampled):02}"


def test_a_later_version_of_the_header_is_read_as_far_as_it_is_known() -> None:
    assert context.new(None, f"cc-{TRACE}-{PARENT}-01-what-will-come").trace_id == TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-011",
    ],
)
def test_a_malformed_trace_is_not_continued(traceparent: str) -> None:
    ids = context.new(None, traceparent)
    assert ids.parent_id is None
    assert ids.trace_id != TRACE


def test_outside_a_request_there_is_no_id() -> None:
    assert context.request_id() is None
    token = context.current.set(context.new("mine", None))
    assert context.request_id() == "mine"
    context.current.reset(token)
