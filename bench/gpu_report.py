"""Plan and report of the GPU benchmark."""

from dataclasses import asdict, dataclass
from typing import Any

from glasschat import __version__

# Steps before the clock starts: graphs are captured in the first.
WARM_UPS = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """Plan of the measurement. `parallel` replies at once, `contexts` in tokens, `steps` timed."""

    device: str = "cuda"
    dtype: str = "bfloat16"
    parallel: tuple[int, ...] = (1, 4, 16)
    contexts: tuple[int, ...] = (1024, 4096, 8192)
    steps: int = 64
    tiny: bool = False

    @property
    def positions(self) -> int:
        """Return how many positions a slot must hold."""
        return max(self.contexts) + self.steps + WARM_UPS + 1


@dataclass(frozen=True, slots=True)
class Cell:
    """Tokens per second of one number of replies at one context; None where memory ran out."""

    parallel: int
    context: int
    ours: float | None
    without_graphs: float | None
    generate: float | None
    limit: float

    @property
    def over_generate(self) -> float | None:
        """Return our speed as a multiple of generate's."""
        return self.ours / self.generate if self.ours and self.generate else None

    @property
    def of_limit(self) -> float | None:
        """Return our speed as a share of what the memory's bandwidth allows."""
        return self.ours / self.limit if self.ours else None

    def as_text(self) -> str:
        """Return this cell's line of the table."""
        return (
            f"{self.parallel:8}  {self.context:7,} {_cell(self.ours, 8)} "
            f"{_cell(self.without_graphs, 10)} {_cell(self.generate, 9)} {_cell(self.limit, 8)} "
            f"{_cell(self.over_generate, 12, 2)} {_cell(self.of_limit, 9, 2)}"
        )


@dataclass(frozen=True, slots=True)
class GpuReport:
    """All cells, and the circumstances.

    `bandwidth` is in bytes a second, of a copy on the device. `apart` is the largest difference
    between logits with graphs and without, as a share of their spread.
    """

    plan: Plan
    name: str
    torch_version: str
    bandwidth: float
    apart: float
    cells: tuple[Cell, ...]

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain objects for JSON."""
        cells = [
            asdict(cell) | {"over_generate": cell.over_generate, "of_limit": cell.of_limit}
            for cell in self.cells
        ]
        return {"glasschat": __version__} | asdict(self) | {"cells": cells}

    def as_text(self) -> str:
        """Return a table for a terminal."""
        lines = [
            f"{'tiny' if self.plan.tiny else 'Llama-3-8B'} of random weights, {self.plan.dtype}, "
            f"{self.name}, torch {self.torch_version}, {self.bandwidth / 1e9:,.0f} GB/s",
            f"logits with graphs and without differ by {self.apart:.2g} of their spread",
            "",
            "parallel  context     ours  no graphs  generate    limit  of generate  of limit",
        ]
        return "\n".join([*lines, *(cell.as_text() for cell in self.cells)])


def _cell(value: float | None, width: int, digits: int = 1) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width},.{digits}f}"
