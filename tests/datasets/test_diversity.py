"""The tables of docs/generators.md."""

from __future__ import annotations

import ast
import contextlib
import io
import re
from pathlib import Path

import pytest

from cwm_trace.datasets.diversity import count_items, family_table, main, replace_section, tree_shape
from cwm_trace.datasets.families import FAMILIES, PRESETS
from cwm_trace.errors import CwmTraceError

PAGE = Path(__file__).parents[2] / "docs" / "generators.md"


def test_the_page_lists_families_and_knobs_as_they_are() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert replace_section(text, "families", family_table()) == text
    measured = text.partition("<!-- diversity -->")[2]
    assert all(f"| {name} |" in measured for name in (*FAMILIES, *PRESETS))


def test_the_examples_of_the_page_run() -> None:
    for example in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(example.replace("1000", "3"), {})


def test_shapes_leave_out_names_and_constants() -> None:
    one, two, three = (tree_shape(ast.parse(text)) for text in ("a = f(1)", "b = g('x')", "a = f(1, 2)"))
    assert one == two != three


def test_counts_of_a_family_by_hand() -> None:
    counts = count_items("permutations", 20)
    assert (counts.programs, len(counts.shapes)) == (20, 1)
    assert set(counts.frames) == {23}
    assert counts.statements == {"FunctionDef", "For", "Assign", "Return", "Expr"}
    assert counts.types == {"list", "int"}
    row = counts.row("permutations")
    assert row[1] == "1"
    # 9 visits of the header: 8 go to the body, 1 to the return; of 20 lines 3 show no change
    assert row[5] == "0.50"


def test_the_command_prints_tables(capsys: pytest.CaptureFixture[str]) -> None:
    main(["counters", "--count", "3"])
    printed = capsys.readouterr().out
    assert "| counters | " in printed
    assert "`modulus`: greatest modulus" in printed


def test_the_command_writes_into_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    sections = "".join(f"<!-- {name} -->\nold\n<!-- end -->\nkept\n" for name in ("families", "diversity"))
    page.write_text(sections, encoding="utf-8")
    main(["counters", "--count", "2", "--write", str(page)])
    text = page.read_text(encoding="utf-8")
    assert "old" not in text
    assert text.count("kept") == 2
    assert "| counters | " in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "no family or preset 'nope'"),
        (["counters", "--count", "0"], "--count is 0"),
        (["counters", "--count", "1", "--write", "/nowhere/page.md"], "No such file"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_page_without_the_section_is_refused() -> None:
    with pytest.raises(CwmTraceError, match="no section <!-- families -->"):
        replace_section("text", "families", "table")
