"""A program gets the modules that lie beside it, whatever else of their names has been imported before."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

from cwm_trace import Trace, trace_execution
from cwm_trace.tracer.modules import own_modules


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder / "main.py"


def output(trace: Trace) -> str:
    assert trace.outcome.value == "returned", trace.run.output
    return trace.run.output or ""


def test_a_module_beside_the_program_comes_before_an_installed_one(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main="import statistics, click\nprint(statistics.mean([1, 2]), click.NAME)\n",
        statistics="def mean(xs):\n    return 'mine'\n",
        click="NAME = 'my click'\n",
    )
    trace = trace_execution(main, capture_output=True)
    assert output(trace) == "mine my click\n"
    assert any(frame.source.strip() == "return 'mine'" for frame in trace.frames)
    assert sys.modules["statistics"] is statistics
    assert statistics.mean([1, 2]) == 1.5


def test_two_programs_have_a_module_of_the_same_name(tmp_path: Path) -> None:
    for name in "one", "two":
        main = write(
            tmp_path / name,
            main="import helper_of_it\nprint(helper_of_it.NAME)\n",
            helper_of_it=f"NAME = '{name}'\n",
        )
        assert output(trace_execution(main, capture_output=True)) == f"{name}\n"


def test_a_package_is_put_back_with_all_that_is_in_it(tmp_path: Path) -> None:
    write(tmp_path / "json", __init__="decoder = 1\n")
    before = {name: module for name, module in sys.modules.items() if name.startswith("json")}
    with own_modules(str(tmp_path)):
        assert "json" not in sys.modules
        assert "json.decoder" not in sys.modules
    assert before == {name: module for name, module in sys.modules.items() if name.startswith("json")}
    assert sys.modules["json"] is json


def test_what_the_interpreter_has_from_the_start_stays(tmp_path: Path) -> None:
    write(tmp_path, os="", abc="", sys="", _io="", cwm_trace="")
    before = dict(sys.modules)
    with own_modules(str(tmp_path)):
        assert sys.modules == before


def test_a_folder_that_is_a_package_of_nothing_hides_none(tmp_path: Path) -> None:
    (tmp_path / "statistics").mkdir()
    with own_modules(str(tmp_path)):
        assert sys.modules["statistics"] is statistics
    with own_modules(str(tmp_path / "nowhere")):
        assert sys.modules["statistics"] is statistics
