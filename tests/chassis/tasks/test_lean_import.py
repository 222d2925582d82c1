import os
import subprocess
import sys

from installed import sources
from service_process import TEMPLATE

CHECK = """
import sys
{before}
import chassis_tasks
print("aiohttp" in sys.modules)
from taskiq.middlewares import taskiq_admin_middleware as admin
print(admin.aiohttp.ClientTimeout.__module__)
"""


def imported(before: str) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sources(TEMPLATE)))}
    code = CHECK.format(before=before)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_aiohttp_is_imported_when_it_is_used() -> None:
    assert imported("") == ["False", "aiohttp.client"]


def test_one_that_is_there_is_used() -> None:
    assert imported("import aiohttp") == ["True", "aiohttp.client"]
    assert imported("import taskiq") == ["True", "aiohttp.client"]
