"""The bundled model without torch: what works, and one sentence for what does not.

`CWM_TRACE_MINI_PYTHON` names a Python that has the extra `mini` only (`.ci/lanes/20-mini` makes one).
Elsewhere this Python runs with every other package blocked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cwm_trace.extras import EXTRA_OF, explain_missing
from tests.effort import HANGS, rest_in_ci

PYTHON = os.environ.get("CWM_TRACE_MINI_PYTHON")
BLOCKED = [name for name, extra in EXTRA_OF.items() if extra != "mini"]
PROGRAM = """\
def f(n):
    total = 0
    for i in range(n):
        total += i
    return total


print(f(3))
"""
CALL = """\
from cwm_trace import predict_execution
print(predict_execution("p.py", call="f(2)").guess.decoding.engine)
"""


class Shell:
    """Runs commands in a folder with a program `p.py`."""

    def __init__(self, folder: Path) -> None:
        (folder / "p.py").write_text(PROGRAM)
        self._folder = folder
        self._environment = {**os.environ, "COLUMNS": "100"}
        if PYTHON is None:
            (folder / "blocks").mkdir()
            block = f"import sys\nsys.modules.update(dict.fromkeys({BLOCKED!r}))\n"
            (folder / "blocks" / "sitecustomize.py").write_text(block)
            self._environment["PYTHONPATH"] = str(folder / "blocks")

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PYTHON or sys.executable, *arguments],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=HANGS,
            check=False,
        )

    def works(self, arguments: str) -> str:
        """What a `cwm-trace` command prints, which must succeed."""
        result = self("-m", "cwm_trace", *arguments.split())
        assert result.returncode == 0, result.stderr
        assert "Traceback" not in result.stderr
        return result.stdout + result.stderr

    def refused(self, arguments: str) -> str:
        """The one sentence of a command that cannot."""
        result = self("-m", "cwm_trace", *arguments.split())
        assert result.returncode == 2, result.stdout + result.stderr
        (sentence,) = result.stderr.splitlines()
        return sentence


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    rest_in_ci(
        [
            ("demo", "frames exact"),
            ("bench --tasks smoke --limit 1 --mode forced", "cwm-mini"),
            ("run --predict p.py", "predicted"),
            ("predict p.py --call f(3) --max-frames 3", "4 frames of p.py"),
            ("predict p.py --call f(3) --temperature 1 --samples 2 --max-frames 2", "3 frames of p.py"),
            ("predict p.py --call f(3) --model copy", "of p.py"),
        ]
    ),
)
def test_commands_work(shell: Shell, arguments: str, shown: str) -> None:
    assert shown in shell.works(arguments)


def test_the_prediction_says_that_numpy_made_it(shell: Shell) -> None:
    result = shell("-c", CALL)
    assert (result.stdout, result.stderr) == ("numpy\n", "")


@pytest.mark.ci
def test_a_trace_file_says_it_too(shell: Shell, tmp_path: Path) -> None:
    shell.works("predict p.py --max-frames 2 -o guess.jsonl")
    header = json.loads((tmp_path / "guess.jsonl").read_text().splitlines()[0])
    assert header["decoding"]["engine"] == "numpy"


@pytest.mark.parametrize(
    ("arguments", "what"),
    rest_in_ci(
        [
            ("predict p.py --engine torch", "the engine torch needs torch"),
            ("predict p.py --dtype bfloat16", "(dtype bfloat16 was asked for) needs torch"),
            ("predict p.py --model hf:some/model", "hf:some/model needs torch and transformers"),
            (
                "predict p.py --model http://127.0.0.1:9",
                "a server's tokenizer needs transformers",
            ),
            ("run --predict --model hf:some/model p.py", "hf:some/model needs torch and transformers"),
            ("bench --tasks smoke --engine torch --no-baselines", "the engine torch needs torch"),
            ("train recipe.toml -o run", "training needs torch and transformers"),
            ("model convert from to", "converting needs torch and transformers"),
            ("format probe", "scoring texts needs torch and transformers"),
        ]
    ),
)
def test_what_needs_torch_says_so_in_one_sentence(shell: Shell, arguments: str, what: str) -> None:
    assert shell.refused(arguments).endswith(f"{what}: pip install 'cwm-trace[model]'")


def test_from_python_too(shell: Shell) -> None:
    result = shell("-c", "from cwm_trace.model import load_model")
    assert result.stderr.splitlines()[-1] == (
        "ImportError: cwm_trace.model.load_model needs torch: pip install 'cwm-trace[model]'"
    )


def test_any_import_that_fails_names_the_extra_that_brings_it() -> None:
    missing = ModuleNotFoundError("No module named 'pyarrow.parquet'", name="pyarrow.parquet")
    assert explain_missing(missing) == "this needs pyarrow: pip install 'cwm-trace[data]'"
    assert explain_missing(ModuleNotFoundError("No module named 'cwm_trace.no'", name="cwm_trace.no")) == ""
