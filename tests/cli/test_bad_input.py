"""Bad input: one sentence on standard error, exit code 2, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.py").write_text("def f(x):\n    return x\nf(1)\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "syntax.py").write_text("x = (\n")
    (tmp_path / "binary.py").write_bytes(bytes(range(256)))
    (tmp_path / "null.py").write_bytes(b"x = 1\0\n")
    (tmp_path / "damaged.jsonl").write_text('{"kind": "header"\n{}\n')
    (tmp_path / "newer.jsonl").write_text('{"kind": "header", "schema_version": 99}\n')
    (tmp_path / "text.txt").write_text("<|trace_context_start|>def f():\n")
    (tmp_path / "packed.jsonl").write_bytes(b"\x1f\x8b\x08\n")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "a_folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "there is no program"),
        (["run", "missing.py"], "cannot read missing.py"),
        (["run", "a_folder"], "has no __main__.py"),
        (["run", "empty.py"], "is empty"),
        (["run", "syntax.py"], "line 1 cannot be compiled"),
        (["run", "binary.py"], "binary.py"),
        (["run", "null.py"], "null bytes"),
        (["run", "-c", ""], "is empty"),
        (["run", "-c", "x = ("], "cannot be compiled"),
        (["run", "-m", "no_such_module"], "no module 'no_such_module'"),
        (["run", "-m", "sys"], "no Python source"),
        (["run", "-m", "json"], "no module 'json' that can be run"),
        (["run", "--entry", "g", "good.py"], "no function 'g'"),
        (["run", "--call", "f(", "good.py"], "is not an expression"),
        (["run", "--call", "f(1)"], "exactly one SCRIPT"),
        (["run", "--call", "f(1)", "good.py", "more"], "exactly one SCRIPT"),
        (["run", "--max-frames", "0", "good.py"], "max-frames"),
        (["run", "--timeout", "-1", "good.py"], "timeout"),
        (["run", "-o", "no/such/folder/t.jsonl", "good.py"], "cannot write"),
        (["run", "-o", "-", "good.py"], "standard output is the program's own"),
        (["run", "-o", "a_folder", "good.py"], "Is a directory"),
        (["run", "--nonsense", "good.py"], "No such option"),
        (["show", "missing.jsonl"], "cannot read missing.jsonl"),
        (["show", "good.py"], "good.py is no trace file: cwm-trace run writes one"),
        (["show", "damaged.jsonl"], "is damaged: line 1"),
        (["show", "text.txt"], "text.txt is the text of a trace: cwm-trace convert text.txt text.jsonl"),
        (["compare", "packed.jsonl", "good.py"], "is compressed: name it packed.jsonl.gz"),
        (["show", "newer.jsonl"], "schema version 99"),
        (["show", "empty.jsonl"], "is empty"),
        (["show", "a_folder"], "cannot read a_folder"),
        (["convert", "missing.txt", "out.jsonl"], "cannot read missing.txt"),
        (["convert", "binary.txt", "out.jsonl"], "is not UTF-8"),
        (["convert", "empty.txt", "out.jsonl"], "has no trace in it"),
        (["convert", "a.jsonl", "b.jsonl"], "are both trace files"),
        (["convert", "newer.jsonl", "b.txt", "--profile", "nonsense"], "no format profile 'nonsense'"),
        (["predict", "--model", "copy", "missing.py"], "cannot read missing.py"),
        (["predict", "--model", "copy", "empty.py"], "is empty"),
        (["predict", "good.py", "--model", "nobody"], "no model 'nobody'"),
        (["predict", "--model", "copy", "good.py", "--mode", "nothing"], "no mode 'nothing'"),
        (["predict", "--model", "copy", "good.py", "--entry", "f"], "f takes arguments"),
        (["predict", "--model", "copy", "good.py", "--mode", "forced"], "needs the real trace"),
        (["predict", "--model", "copy", "good.py", "--mode", "reground-0"], "no mode 'reground-0'"),
        (["predict", "--model", "copy", "good.py", "--samples", "2"], "every sample would be the same"),
        (["predict", "--model", "copy", "good.py", "--temperature", "1"], "copy is a baseline"),
        (["predict", "good.py", "--top-p", "0"], "top-p"),
        (["predict", "good.py", "--model", "a_folder"], "no config.json in a_folder"),
        (["predict", "good.py", "--model", "hf:a_folder"], "no tokenizer can be loaded from a_folder"),
        (["predict", "good.py", "--model", "http://127.0.0.1:9"], "127.0.0.1:9"),
        (["run", "--predict", "--model", "nobody", "good.py"], "no model 'nobody'"),
        (["run", "--predict", "--model", "copy", "--mode", "nothing", "good.py"], "no mode 'nothing'"),
        (["run", "--model", "copy", "good.py"], "need --predict"),
        (["predict", "--model", "copy", "good.py", "--history", "newer.jsonl"], "schema version 99"),
        (["compare", "missing.jsonl", "missing.jsonl"], "cannot read missing.jsonl"),
        (["compare", "damaged.jsonl", "damaged.jsonl"], "is damaged"),
        (["demo", "--model", "nobody"], "no model 'nobody'"),
        (["nonsense"], "No such command"),
        *(
            (["bench", "inputs", "--model", "http://127.0.0.1:1#x", option], "No such option")
            for option in ("--engine=numpy", "--as=cwm", "--dtype=float32", "--logprobs", "--grammar=flow")
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_one_sentence_and_exit_code_2(cli: Cli, folder: Path, arguments: list[str], words: str) -> None:
    result = cli(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("cwm-trace: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_process_ends_with_that_sentence_and_that_code(shell: Cli) -> None:
    result = shell("show", "missing.jsonl")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "cwm-trace: cannot read missing.jsonl: No such file or directory\n"


def test_an_unreadable_program_leaves_an_older_trace_alone(cli: Cli, shell: Cli, folder: Path) -> None:
    shell("run", "good.py")
    before = (folder / "good.trace.jsonl").read_bytes()
    (folder / "good.py").write_text("x = (")
    assert cli("run", "good.py").returncode == 2
    assert (folder / "good.trace.jsonl").read_bytes() == before
