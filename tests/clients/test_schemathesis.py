"""schemathesis over the OpenAPI document: what it says is what the server does.

No answer that the document does not have, none of a form that it does not describe, no 5xx, and
nothing taken that it forbids. What is left out: that all that it allows is taken. Some fields go
only with others, which a schema of fields cannot say.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from glasschat.api import ApiOptions, Key, Keyring
from glasschat.models.scripted import scripted_model
from tests.api.serving import Served, served
from tests.clients.conftest import KEY

pytestmark = pytest.mark.slow

EXAMPLES = 40


@pytest.fixture(scope="module")
def locked() -> Iterator[Served]:
    options = ApiOptions(keys=Keyring([Key.from_secret("test", KEY)]), timeout_s=5)
    with served(scripted_model("Hello"), options) as server:
        yield server


def test_the_document_and_the_server_agree(locked: Served, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("schemathesis")), "run"]
    command += [f"{locked.url}/openapi.json", "--url", locked.url, "--checks", "all"]
    command += ["--exclude-checks", "positive_data_acceptance", "--seed", "1"]
    command += ["--max-examples", str(EXAMPLES), "--header", f"Authorization: Bearer {KEY}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    stats = locked.backend.stats()
    assert (stats.running, stats.waiting, stats.repairs) == (0, 0, 0)
