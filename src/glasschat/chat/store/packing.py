"""Values packed into columns: ids as bytes, settings and figures as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from glasschat.chat.node import Ending, Origin, Run
from glasschat.chat.params_json import origin_as_json, params_as_json, params_from_json
from glasschat.engine import Timings, Usage
from glasschat.messages import Message, restore_message
from glasschat.sampling import SamplingParams


def pack_ids(ids: Sequence[int]) -> bytes:
    """Pack ids, four bytes each, little-endian."""
    return np.asarray(ids, dtype="<u4").tobytes()


def unpack_ids(data: bytes | memoryview) -> tuple[int, ...]:
    """Return the ids of packed bytes."""
    return tuple(np.frombuffer(data, dtype="<u4").tolist())


def pack_params(params: SamplingParams | None) -> str | None:
    """Pack settings as JSON, None as None."""
    return None if params is None else _json(params_as_json(params))


def unpack_params(text: str | None) -> SamplingParams | None:
    """Return the settings of packed JSON, None of None."""
    return None if text is None else params_from_json(json.loads(text))


def run_columns(run: Run) -> dict[str, Any]:
    """Return the columns of `runs` for a run."""
    return {
        "first_token": run.first_token,
        "created": run.created,
        "params": pack_params(run.params),
        "origin": _json(origin_as_json(run.origin)),
        **ending_columns(run),
    }


def ending_columns(run: Run) -> dict[str, Any]:
    """Return the columns of `runs` that change when the run ends."""
    figures: dict[str, Any] = {
        "seed": run.seed,
        "usage": asdict(run.usage),
        "timings": asdict(run.timings),
    }
    if isinstance(run.error, Message):
        # Beside the line, and no column of its own: older versions read the store as before.
        figures["message"] = run.error.to_json()
    # Drivers of databases know str, and not all of them what is made of it.
    error = None if run.error is None else str(run.error)
    return {"ending": run.ending, "error": error, "figures": _json(figures)}


def unpack_run(row: Any) -> Run:
    """Return the run of a row of `runs`."""
    figures = json.loads(row.figures)
    error = row.error
    if error is not None:
        error = restore_message(error, figures.get("message"))
    return Run(
        params=params_from_json(json.loads(row.params)),
        origin=Origin(**json.loads(row.origin)),
        first_token=row.first_token,
        created=row.created,
        ending=None if row.ending is None else Ending(row.ending),
        error=error,
        seed=figures["seed"],
        usage=Usage(**figures["usage"]),
        timings=Timings(**figures["timings"]),
    )


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
