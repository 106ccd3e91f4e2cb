"""What general programs leave out: generators in variables, `with`, `raise`, `del`, loops' `else`.

The notation is that of `notation`; lines of their own are `<block>`, statements that run once, `<loop>`, six
times at the most, and `<live>`, once for each item of something. What a line binds exists from then on, or in
the blocks below it if the line ends in a colon.
"""

from __future__ import annotations

from cwm_trace.datasets.generators.forms import FORMS, LONGEST, Form, Table, forms

# fmt: off
_MORE = {
    "int": forms("<=maybe> or <int>", "next(<=gen>, <int>)", "divmod(<int>, <m>)[1]", "<int> * <int> % <N>",
                 "(<=list> or [0])[-1]", "*<=point>.shift(<int>)", "<=point>.n"),
    "bool": forms("<=maybe> is None", "<=list> is <=list>", "0 <= <int> < <N>"),
    "str": forms("<=guard>.label", size=LONGEST)
      + forms("<=str>.strip()", "<=str>.replace(<c>, <c>)")
      + forms("str(<=error>)[:12]", "type(<=error>).__name__[:12]", "f'{<=int>=}'[:12]",
              "'{}:{:>4}'.format(<int>, <str>)[:12]",
              "'-'.join(<=words>)[:12]", size=12),
    "list": forms("[\n    <int>,\n    <int>,\n]", size=2)
      + forms("list(<=gen>)", "<=point>.xs", size=LONGEST) + forms("*sorted(<=list>, key=lambda <x>: <fx>)"),
    "set": forms("+{<fx> for <x> in <=list>}"),
    "dict": forms("+{k: v + <n> for k, v in <=dict>.items()}", "+{<x>: len(<x>) for <x> in <=words>}")
      + forms("{\n    'a': <int>,\n    <w>: <int>,\n}", size=2),
    "pair": forms("(\n    <int>,\n    <str>,\n)"),
    "maybe": forms("<=dict>.get(<w>)", "<int> if <bool> else None", "None if <=maybe> is None else <int>"),
    "gen": forms("*(<fx> for <x> in <=list>)", "reversed(<=list>)", "iter(<=list>)"),
}
_RAISING = {
    "int": forms("<=int> // <int>", "<=int> % <int>", "<=list>[<int>]", "<=dict>[<w>]", "int(<=str>)",
                 "max(<=list>)", "<=list>.index(<int>)", "<=maybe> + 1"),
    "float": forms("<=float> / <int>"),
    "str": forms("<=words>[<int>]", size=LONGEST) + forms("<=str>[<int>]", size=1),
}
_SQUARES = forms("<x> * <x>")
"""What loops could do to one number again and again."""


def _join_forms(*tables: dict[str, tuple[Form, ...]]) -> Table:
    usual = {
        kind: tuple(form for form in known if not form.grows and form not in _SQUARES)
        for kind, known in FORMS.items()
    }
    return Table({
        kind: sum((table.get(kind, ()) for table in (usual, *tables)), ()) for kind in {**usual, **_MORE}
    })


SAFE = _join_forms(_MORE, _MORE, _MORE)
RISKY = _join_forms(_MORE, _MORE, _MORE, _RAISING, _RAISING)
"""Expressions none of which raises, and some of which may."""

_HANDLER = "except <caught> as $error:e:\n    <block>"
_CHANGES = ("<@list>.clear()", "<@dict>.clear()", "<@words>.sort(reverse=bool(<bool>))", "del <@list>[:1]",
     "$set:s = <set>", "<@list>.extend(<list>[:0])", "$int:n = <@dict>.pop(<w>, <int>)")
STATEMENTS: tuple[tuple[str, ...], ...] = (
    ("print(<str>)", "print(<int>)", "print(<list>)", "print(<int>, <bool>, <float>, sep='|')",
     "print(<words>, <maybe>, end=';')", "print(f'{<=int>} {<=str>!r:.9}')", "print(<dict>, <pair>)",
     "print(\n    <int>,\n    <str>,\n)"),
    ("for $index:i in range(<count>):\n    <loop>",
     "for $index:i in range(<count>):\n    <loop>\nelse:\n    <block>",
     "for $index:i in range(<count>):\n    <loop>\nelse:\n    <block>",
     "for $int:n in <gen>:\n    <live>", "for $int:n, $str:s in zip(<list>, <=str>):\n    <live>",
     "for $str:k, $int:v in sorted(<=dict>.items()):\n    <live>"),
    ("$index:i = 0\nwhile $i < <count>:\n    $i += 1\n    <loop>",
     "$index:i = <count>\nwhile $i > 0 and <bool>:\n    $i -= 1\n    <loop>\nelse:\n    <block>"),
    ("if ($int:n := <int>) > <int>:\n    <block>",),
    (f"try:\n    <block>\n{_HANDLER}", f"try:\n    <block>\n{_HANDLER}\nelse:\n    <block>",
     "try:\n    <block>\nfinally:\n    <block>",
     f"try:\n    <block>\n{_HANDLER}\nexcept Exception:\n    <block>\nfinally:\n    <block>"),
    ("match <dict>:\n    case {'a': $int:n, **$dict:r}:\n        <block>\n    case _:\n        <block>",
     "match <pair>:\n    case (0, $str:s):\n        <block>\n"
     "    case ($int:n, 'a' | 'b') if <bool>:\n        <block>"),
    ("$gen:g = <gen>", "$gen:g = (<fx> for <x> in <list>)", "$int:n = next(<=gen>, <int>)",
     "$list:v = list(<=gen>)", "$gen:g = (<fx> for <x> in <list>)\n$int:n = next($g, <int>)"),
    ("$int:a = $int:b = <int>", "($int:a, $str:b), $bool:c = <pair>, <bool>", "$maybe:m = <maybe>"),
    ("$int:t = <int>\nif <bool>:\n    <block>\ndel $t", "$list:t = <list>\ndel $t[:1]\nprint($t)\ndel $t"),
    _CHANGES,
    _CHANGES,
    ("assert len(<=list>) >= 0", "assert isinstance(<=int>, int), <=int>"),
)
"""By kind."""
RAISING = (
    "if <bool>:\n    raise ValueError(<str>)", "if <bool>:\n    raise KeyError(<int>)",
    "assert <bool>, <str>",
    "$int:a, $int:b = <list>", "<@list>[<int>] = <int>", "<@list>.remove(<int>)", "del <@list>[<int>]",
    "$int:n = <@list>.pop()", "del <@dict>[<w>]",
)
JUMPS = ("if <bool>:\n    break", "if <bool>:\n    continue")
CAUGHT = ("Exception", "ValueError", "LookupError", "(ZeroDivisionError, KeyError)",
          "(IndexError, AssertionError)")
# fmt: on
