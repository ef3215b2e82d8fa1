"""The figures that docs/log.md follows are counted as tools/figures.py says."""

import ast
from pathlib import Path

import pytest

from tools import figures

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A package with a page that only a browser opens, and a panel that a test imports."""
    web = tmp_path / "src" / "glasschat" / "web"
    web.mkdir(parents=True)
    (tmp_path / "tests" / "e2e").mkdir(parents=True)
    (web.parent / "__init__.py").touch()
    (web / "__init__.py").touch()
    (web / "page.py").write_text("from glasschat.web import header\n")
    (web / "header.py").write_text("a = 1\nb = 2\n")
    (web / "panel.py").write_text("from glasschat.web.row import width\n")
    (web / "row.py").write_text("width = 1\n")
    (tmp_path / "tests" / "test_panel.py").write_text("import glasschat.web.panel\n")
    (tmp_path / "tests" / "e2e" / "test_page.py").write_text("import glasschat.web.header\n")
    return tmp_path


def test_web_lines_count_until_a_test_in_the_process_reaches_them(checkout: Path) -> None:
    assert [path.name for path in figures.untested_modules(checkout)] == ["header.py", "page.py"]
    assert figures.count_untested_lines(checkout) == 3
    (checkout / "tests" / "test_page.py").write_text(
        "from streamlit.testing.v1 import AppTest\n\n\ndef test_it():\n"
        "    AppTest.from_file('src/glasschat/web/page.py')\n"
    )
    assert figures.untested_modules(checkout) == []


@pytest.mark.parametrize(
    ("code", "tables"),
    [
        ("OFF = {'repetition_penalty': 1.0, 'top_p': 1.0}", 1),
        ("OFF: Any = MappingProxyType({'repetition_penalty': 1.0})", 1),
        ("CREATIVE = Preset('Creative', {'repetition_penalty': 1.0})", 0),
        ("ASKED = {'repetition_penalty': 1.005}", 0),
        ("ROWS = (Setting('top_p', neutral=1.0), Setting('min_p', neutral=0.0))", 1),
    ],
)
def test_tables_of_what_off_means(code: str, tables: int) -> None:
    assert figures.count_off_tables(ast.parse(code)) == tables


def test_docstrings_of_four_words_are_too_short() -> None:
    code = '"""All of it."""\n\n\ndef f():\n    """Return the next token id."""\n'
    assert figures.short_docstrings(ast.parse(code)) == [(1, "All of it.")]


def test_a_decode_step_and_a_reply_are_counted_in_this_checkout() -> None:
    counted = figures.trace_calls(ROOT)
    assert 5 < counted["step_files"] < counted["step_functions"] < counted["step_calls"]
    assert counted["reply_files"] > counted["step_files"]


def test_every_figure_is_a_row_of_the_table() -> None:
    columns = {side: dict.fromkeys(figures.ROWS, value) for side, value in (("a", 1), ("b", 2_000))}
    lines = figures.markdown_table(columns).splitlines()
    assert lines[0] == "| | a | b |"
    assert len(lines) == 2 + len(figures.ROWS)
    assert "| files in src | 1 | 2,000 |" in lines
