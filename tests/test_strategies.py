from io import BytesIO

import pytest
from scaraplate.template import TemplateMeta

from twelvefold.strategies import Merged

META = TemplateMeta("https://example.com/t", "abc", "https://example.com/t/commit/abc", False, "main")


@pytest.mark.parametrize(("service", "result"), [(None, b"template"), (b"service", b"service"), (b"", b"")])
def test_merged_is_written_once(service: bytes | None, result: bytes) -> None:
    target = None if service is None else BytesIO(service)
    strategy = Merged(target_contents=target, template_contents=BytesIO(b"template"), template_meta=META, config={})
    assert strategy.apply().read() == result
