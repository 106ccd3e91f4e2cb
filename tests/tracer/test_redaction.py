"""A secret is written nowhere: whatever name it goes by, in whatever form."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cwm_trace import CwmTraceError, Limits, Trace, record, trace_execution
from cwm_trace.storage import write_trace
from cwm_trace.tracer.program import load_code
from cwm_trace.tracer.redaction import PLACEHOLDER, Rules, Secrets, shown_rules
from cwm_trace.tracer.session import Memory, Options, record_program

WORD = "hunter2-Zebra"


def written(trace: Trace, folder: Path) -> str:
    write_trace(trace, folder / "t.jsonl")
    return (folder / "t.jsonl").read_text()


def run(source: str, *rules: str, limits: Limits | None = None) -> Trace:
    """The trace of a program that finds the secret in its environment."""
    return trace_execution(
        f"import os\nGIVEN = os.environ.get('GIVEN')\n{source}",
        redact=rules,
        limits=limits or Limits(),
        capture_output=True,
    )


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIVEN", WORD)
    monkeypatch.setenv("API_TOKEN", WORD)


@pytest.mark.parametrize(
    "source",
    [
        "password = GIVEN\n",
        "PASSWORD = GIVEN\nother = PASSWORD\n",
        "def f(password):\n    copy = password\n    return copy\nf(GIVEN)\n",
        "def find():\n    found = GIVEN\n    return found\npassword = find()\n",
        "def password():\n    return GIVEN\nx = password()\n",
        "config = {'password': GIVEN, 'user': 'ada'}\nx = config['password']\n",
        "class C:\n    pass\nc = C()\nc.password = GIVEN\nx = c.password\n",
        "class C:\n    def __init__(self, word):\n        self.__password = word\n    def __repr__(self):\n"
        "        return f'C({self.__password})'\nc = C(GIVEN)\n",
        "password = GIVEN\ntry:\n    raise ValueError('no ' + password)\n"
        "except ValueError as e:\n    x = str(e)\n",
        "password = GIVEN\nprint('it is', password)\n",
        "def g():\n    dict(password=GIVEN)\ng()\n",
        "import json\npassword = GIVEN\ntext = json.dumps({'a': [password]})\nagain = repr(text)\n",
        "from urllib.parse import quote\npassword = GIVEN\nurl = 'https://u:' + quote(password) + '@host/'\n",
        "password = GIVEN.encode()\ntext = password.decode()\n"
        "raw = b'x' + password\nhexed = password.hex()\n",
        "password = [GIVEN]\nfirst = password[0]\n",
        "from dataclasses import dataclass\n@dataclass\nclass Login:\n    user: str\n    password: str\n"
        "login = Login('ada', GIVEN)\nx = login.password\n",
        "def login(user, *, password=None):\n    x = password\nvalue = GIVEN\nlogin('ada', password=value)\n",
        "password = GIVEN\nletters = list(password)\n",
        "def send(text):\n    return len(text)\nsend(f'password={GIVEN}')\n"
        "send('{\"password\": \"' + GIVEN + '\"}')\n",
        "from types import SimpleNamespace\nx = SimpleNamespace(password=GIVEN)\ny = vars(x)\n",
        "password: str = 'hunter2-Zebra'\nif password == 'hunter2-Zebra':  # not hunter2-Zebra\n    x = 1\n",
        "class Settings:\n    password = 'hunter2-Zebra'\ns = Settings()\nx = s.password + '!'\n",
        "def connect(password='hunter2-Zebra', port=1):\n    return password\nconnect()\n",
        "for password in [GIVEN]:\n    x = password\n",
        "with open(os.devnull) as f:\n    password, user = GIVEN, 'ada'\n",
        "def stream():\n    yield GIVEN\nfor password in stream():\n    pass\n",
        "import threading\ndef work(password):\n    x = password\n"
        "t = threading.Thread(target=work, args=(GIVEN,))\n"
        "t.start()\nt.join()\n",
        "exec('password = GIVEN\\nx = password')\n",
        "def fail(password):\n    raise SystemExit(f'no: {password}')\nfail(GIVEN)\n",
    ],
)
def test_a_secret_is_written_nowhere(source: str, tmp_path: Path) -> None:
    plain = trace_execution(f"import os\nGIVEN = os.environ.get('GIVEN')\n{source}", capture_output=True)
    assert WORD in written(plain, tmp_path)
    trace = run(source, "password")
    rest = [f.changed for f in trace.frames if "GIVEN" in f.changed]
    text = written(trace, tmp_path)
    assert WORD not in text, [rest, text]
    assert WORD.encode().hex() not in text
    assert PLACEHOLDER in text
    assert len(trace.frames) == len(plain.frames)
    assert trace.capture.redacted == ("password",)


def test_a_number_under_a_key_is_one_elsewhere(tmp_path: Path) -> None:
    program = "N = 918273645\ndef f():\n    made = {'token': N}\n    return N + 0, f'pin {N}'\nf()\n"
    assert "918273645" not in written(run(program, "token"), tmp_path)


def test_the_usual_encodings_of_a_secret_are_known(tmp_path: Path) -> None:
    program = "import base64\npassword = GIVEN.encode()\na = base64.b64encode(password)\nb = password.hex()\n"
    text = written(run(program, "password"), tmp_path)
    assert WORD.encode().hex() not in text
    assert base64.b64encode(WORD.encode()).decode() not in text


def test_what_is_typed_at_a_prompt_for_passwords_is_one(tmp_path: Path) -> None:
    program = "import getpass\ngetpass.getpass = lambda: GIVEN\nx = getpass.getpass()\ny = [x]\n"
    assert WORD not in written(run(program, "default"), tmp_path)


def test_of_a_text_in_the_program_what_looks_like_a_secret_goes_and_words_stay(tmp_path: Path) -> None:
    program = (
        'TEXT = """\npassword: one-1-secret\nThe password: a word, token: str\n"""\n'
        "# token=two-2-secret\nx = f'token={TEXT}' + 'password=%s' % 3\n"
    )
    lines = run(program, "default").files[0].text.splitlines()
    assert lines[3:7] == [
        "password: <redacted>",
        "The password: a word, token: str",
        '"""',
        "# token=<redacted>",
    ]
    assert lines[7] == "x = f'token={TEXT}' + 'password=%s' % 3"
    assert "one-1-secret" not in written(run(program, "default"), tmp_path)


def test_what_is_no_secret_stays() -> None:
    trace = run(
        "password = GIVEN\nuser = 'ada'\nn = 12345\npassword_length = len(password)\ndone = 1\n", "password"
    )
    state = {name: slot.text for f in trace.frames for name, slot in f.changed.items() if slot}
    assert (state["user"], state["n"], state["password_length"]) == ("'ada'", "12345", "13")
    assert state["password"] == PLACEHOLDER
    assert trace.warnings == ()


def test_short_values_are_replaced_as_literals_of_their_own() -> None:
    trace = run(
        "pin = 'ab'\nother = ['ab', 'abc']\nword = 'abacus'\npassword = 7\nn = 7\ndone = 1\n",
        "pin",
        "password",
    )
    state = {name: slot.text for f in trace.frames for name, slot in f.changed.items() if slot}
    assert state["other"] == f"['{PLACEHOLDER}', 'abc']"
    assert (state["word"], state["password"], state["n"]) == ("'abacus'", PLACEHOLDER, "7")


def test_regular_expressions_mean_names_and_texts(tmp_path: Path) -> None:
    source = "my_key = GIVEN\nnote = 'id-1234 and id-99'\n"
    trace = run(source, ".*_key", r"id-\d{3,}")
    text = written(trace, tmp_path)
    assert WORD not in text
    assert "id-1234" not in text
    assert "id-99" in text
    assert trace.capture.redacted == ("<pattern>", "<pattern>")


@pytest.mark.parametrize(
    "source",
    [
        "api_key = GIVEN\n",
        "class C:\n    def __init__(self, client_secret):\n"
        "        self.clientSecret = client_secret\nC(GIVEN)\n",
        "value = os.environ['API_TOKEN']\n",
        "value = os.getenv('API_TOKEN', '')\n",
        "def read():\n    return os.environ['API_TOKEN']\nx = read()\n",
        "headers = {'Authorization': 'Bearer ' + GIVEN}\nx = headers['Authorization'].split()[1]\n",
        "url = 'postgres://ada:' + GIVEN + '@db/x'\nx = url\n",
    ],
)
def test_the_default_knows_the_usual_names(source: str, tmp_path: Path) -> None:
    assert WORD not in written(
        trace_execution(f"import os\n{source}".replace("GIVEN", "os.environ['GIVEN']"), redact=["default"]),
        tmp_path,
    )


@pytest.mark.parametrize(
    "secret",
    [
        "sk-" + "aB3" * 8,
        "ghp_" + "x1Y2" * 9,
        "AKIAIOSFODNN7EXAMPLE",
        "xoxb-1234567890-abcdef",
        "hf_" + "q" * 30,
    ],
)
def test_the_default_knows_the_usual_forms(secret: str, tmp_path: Path) -> None:
    text = written(trace_execution("x = " + repr(secret) + "\ny = [x]\n", redact=["default"]), tmp_path)
    assert secret not in text


def test_the_program_stays_a_program_of_as_many_lines(tmp_path: Path) -> None:
    source = f'password = """{WORD}"""\nx = {{"password": 123456}}  # {WORD}\ny = f"{{x}}{WORD}"\n'
    source += 'password = """one line of it\nanother line"""\nz = ["one line of it\\nanother line"]\n'
    text = trace_execution(source, redact=["password"]).files[0].text
    assert "another" not in text
    assert WORD not in text
    assert "123456" not in text
    assert text.count("\n") == source.count("\n")
    compile(text, "<t>", "exec")


def test_arguments_and_limits() -> None:
    program = load_code(
        "import sys\nx = sys.argv[1:]\ny = 1\n", ["--password", WORD, f"--token={WORD}x", WORD, "-v"]
    )
    sink = Memory()
    record_program(program, sink, Options(redact=["password", "token"], limits=Limits(max_value_chars=30)))
    trace = sink.trace
    assert trace.program.arguments == ("--password", PLACEHOLDER, f"--token={PLACEHOLDER}", PLACEHOLDER, "-v")
    assert trace.run.limits.max_value_chars == 30
    shown = [slot for f in trace.frames for slot in f.changed.values() if slot]
    assert all(len(slot.text) <= 30 for slot in shown)
    assert any(slot.clipped for slot in shown)
    assert not any("hun" in slot.text for slot in shown)


def test_a_value_is_cut_after_its_secrets_are_gone(tmp_path: Path) -> None:
    trace = run("password = GIVEN\nx = '12345' + password\n", "password", limits=Limits(max_value_chars=10))
    assert "hunt" not in written(trace, tmp_path)


def test_recorded_functions_and_blocks(tmp_path: Path) -> None:
    @record(redact="password")
    def login(password: str) -> str:
        return f"ok {password}"

    def other(password: str) -> str:
        return password

    login(WORD)
    with record(redact=["password"]) as recording:
        other(WORD)
    assert recording.trace is not None
    for trace in (*login.traces, recording.trace):  # type: ignore[attr-defined]
        text = written(trace, tmp_path)
        assert text.count(WORD) == 0
        assert trace.frames


def test_a_name_that_nothing_has_is_said() -> None:
    assert run("x = 1\n", "pasword", "default").warnings == (
        "nothing was called pasword: nothing was redacted for it (a value needs a regular expression)",
    )


def test_rules_that_cannot_be_read() -> None:
    for rule in ("[", ""):
        with pytest.raises(CwmTraceError, match="--redact"):
            trace_execution("x = 1\n", redact=[rule])


def test_a_rule_may_spell_the_secret() -> None:
    assert shown_rules(["password", "default", "hunter-2"]) == ("password", "default", "<pattern>")


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("password", True),
        ("Password", True),
        ("_password", True),
        ("_Account__password", True),
        ("passwords", False),
        ("password2", False),
        ("user_password", False),
    ],
)
def test_a_name_is_a_whole_name(name: str, means: bool) -> None:
    assert Rules(["password"]).cover(name) is means


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("db_password", True),
        ("apiKey", True),
        ("API_KEY", True),
        ("OPENAI_API_KEY", True),
        ("access-token", True),
        ("password2", True),
        ("s3Token1", True),
        ("tokenizer", False),
        ("keyboard", False),
        ("passing", False),
        ("secretary", False),
    ],
)
def test_the_default_looks_at_the_words_of_a_name(name: str, means: bool) -> None:
    assert Rules(["default"]).cover(name) is means


@settings(max_examples=60)
@given(st.text(min_size=4, max_size=20), st.text(max_size=8), st.text(max_size=8))
def test_every_form_of_a_string_is_found(secret: str, before: str, after: str) -> None:
    secrets = Secrets(Rules(["password"]))
    secrets.learn(repr(secret))
    forms: list[Any] = [
        secret,
        repr(secret),
        [secret],
        {secret: 1},
        {"a": (secret,)},
        before + secret + after,
    ]
    for form in forms:
        text = repr(form)
        shown = secrets.replace(text)
        assert PLACEHOLDER in shown
        assert repr(secret)[1:-1] not in shown.replace(PLACEHOLDER, "") or len(secret) < 6
    for text in (json.dumps([secret]), quote(secret), f"{before}{secret}{after}"):
        assert PLACEHOLDER in secrets.replace(text)


@given(
    st.text(min_size=4, max_size=12) | st.text(alphabet="a'\"\\\n\té日😀", min_size=4, max_size=8),
    st.lists(st.sampled_from([repr, ascii, json.dumps]), max_size=4),
)
def test_a_string_is_found_in_a_text_in_a_text(secret: str, writers: list[Any]) -> None:
    secrets = Secrets(Rules(["password"]))
    secrets.learn(repr(secret))
    text = secret
    for write in writers:
        text = write([f"<{text}>"])
    around = re.escape("[]<>'\"\\")
    assert re.fullmatch(f"[{around}]*{PLACEHOLDER}[{around}]*", secrets.replace(text))


@settings(max_examples=60)
@given(st.text(alphabet="ab'\"\\ =:,()[]{}password\n", max_size=60))
def test_any_text_can_be_looked_through(text: str) -> None:
    secrets = Secrets(Rules(["password", "default", r"a\d*"]))
    secrets.learn_pairs(text)
    secrets.learn(text)
    secrets.replace(text)
    assert secrets.replace_in_source(text).count("\n") >= 0


def test_nothing_reaches_the_sink_before_the_end(tmp_path: Path) -> None:
    order: list[str] = []

    class Order(Memory):
        def header(self, trace: Trace) -> None:
            order.append("header")
            super().header(trace)

    record_program(load_code("import os\nos.environ['ORDER'] = 'ran'\n"), Order(), Options(redact=["x"]))
    assert order == ["header"]
    assert os.environ.pop("ORDER") == "ran"


def test_long_texts_take_linear_work() -> None:
    secrets = Secrets(Rules(["password", "default"]))
    secrets.learn(repr("key " * 5_000))
    for text in ("a" * 100_000, "a-" * 50_000, "password " * 10_000, "'" * 3_000, "key " * 5_000):
        secrets.learn_pairs(text)
        secrets.replace(text)
    assert secrets.replace(f"x{'key ' * 5_000}y") == f"x{PLACEHOLDER}y"


def test_the_longest_of_long_secrets_goes_first() -> None:
    for first, second in (("key " * 600, "key " * 600 + "z"), ("key " * 600 + "z", "key " * 600)):
        secrets = Secrets(Rules(["password"]))
        secrets.learn(repr(first))
        secrets.learn(repr(second))
        assert secrets.replace(f"x{'key ' * 600}zy") == f"x{PLACEHOLDER}y"


def test_what_the_command_says_of_a_misspelt_name() -> None:
    ending = record_program(
        load_code("password = 'hunter2-Zebra'\nx = 1\n"), Memory(), Options(redact=["pasword"])
    )
    assert ending.trace.warnings[0].startswith("nothing was called pasword")
