"""Statements of the family `methods`: changes of a variable, loops that gather, and what belongs together.

The notation is that of `cwm_trace.datasets.generators.method_forms`; `@` is the variable that is changed.
"""

from __future__ import annotations

# fmt: off
CHANGES: dict[str, tuple[str, ...]] = {
    "str": ("@ += <c>", "@ = <c> + @", "@ = @[1:]", "@ = @[:-1]", "@ = @[::-1]", "@ = @.upper()",
            "@ = @.replace(<c>, <c>)", "@ += <str>", "@ = @.strip()", "@ = @.lower()", "@ += str(<int>)",
            "@ *= 2", "@ = @.replace(<c>, <c>, 1)", "@ = @.swapcase()", "@ = f'{@}!'",
            "@ = @.title()"),
    "int": ("@ += 1", "@ += <n>", "@ -= <n>", "@ *= <k>", "@ //= 2", "@ %= <m>", "@ -= 1", "@ += <int>",
            "@ = max(@, <int>)", "@ //= <k>", "@ = @ * 3 + 1", "@ = -@", "@ **= 2", "@ = abs(@ - <int>)",
            "@ ^= <n>"),
    "list": ("@.append(<int>)", "@.append(<it>)", "@.insert(0, <int>)", "@.insert(<i>, <int>)",
             "@.extend([<int>, <n>])", "@.pop()", "@.pop(0)", "@.pop(<i>)", "@.remove(<it>)", "@.reverse()",
             "@.sort()", "@.sort(reverse=True)", "@.sort(key=abs)", "@ += [<int>]", "@[0] = <int>",
             "@[-1] += <n>", "@[<i>] *= <k>",
             "@[0], @[-1] = @[-1], @[0]", "@[<i>], @[<i>] = @[<i>], @[<i>]", "del @[0]", "del @[<i>]",
             "del @[:<k>]", "@[1:2] = [<n>, <n>]", "@[:<k>] = []", "@.extend(@[:1])", "@.append(len(@))",
             "@.insert(len(@) // 2, <n>)", "@ *= 2", "@.clear()", "@.extend(<=list>)",
             "@[::2] = [0] * len(@[::2])", "@.append(@[0])", "@ = @[1:] + @[:1]", "@.append(@.pop(0))",
             "@.remove(max(@))"),
    "words": ("@.append(<str>)", "@.append(<w>)", "@.insert(0, <str>)", "@.insert(<i>, <w>)",
              "@.extend([<str>, <w>])", "@.pop()", "@.pop(0)", "@.remove(<key>)", "@.reverse()", "@.sort()",
              "@.sort(key=len)", "@.sort(reverse=True)", "@ += [<str>]", "@[0] = <str>",
              "@[-1] = @[-1].upper()", "@[<i>] = <w>", "@[0], @[-1] = @[-1], @[0]", "del @[0]", "del @[-1]",
              "@.extend(<str>.split())", "@[1:1] = [<str>]", "@.append(@[0])", "@[<i>] += <c>",
              "@.append(str(len(@)))"),
    "dict": ("@[<w>] = <int>", "@[<key>] = <int>", "@[<key>] += <n>", "@[<key>] = @.get(<key>, 0) + 1",
             "@.update({<w>: <int>})", "@.update(x=<n>)", "@.pop(<key>)", "@.pop(<w>, None)",
             "del @[<key>]", "@.setdefault(<key>, <int>)", "@.setdefault(<w>, <n>)", "@.popitem()",
             "@[<str>] = len(<str>)", "@[<str>] = <int>", "@ |= {<w>: <int>}", "@[<key>] -= <n>",
             "@.clear()", "@[<w>] = @.pop(<key>)", "@[<str>] = @.get(<str>, 0) + <n>"),
    "tally": ("@[<int>] = @.get(<int>, 0) + 1", "@[<it>] = <n>", "@.pop(<it>, 0)", "@[len(@)] = <int>",
              "@.setdefault(<int>, 0)", "@.update({<n>: <int>})"),
    "set": ("@.add(<int>)", "@.add(<it>)", "@.discard(<it>)", "@.update([<int>, <n>])", "@ |= {<int>}",
            "@ -= {<it>}", "@.remove(<it>)", "@ &= {<it>, <n>, <it>}",
        "@.difference_update({<it>})", "@.intersection_update({<it>, <n>})",
        "@.symmetric_difference_update({<it>, <n>})"),
    "tuple": ("@ += (<int>,)", "@ = @[1:]", "@ = (<int>,) + @", "@ = @[::-1]"),
    "groups": ("@.setdefault(<key>, []).append(<int>)", "@.setdefault(<w>, []).append(<n>)",
               "@[<key>].append(<int>)", "@[<key>] = [<int>]", "@[<w>] = <=list>"),
    "table": ("@[<key>][<w>] = <int>", "@[<w>] = {<w>: <int>}", "@.setdefault(<w>, {})[<key>] = <n>",
              "@[<key>].update({<w>: <int>})", "@.pop(<key>, None)", "@[<w>] = {}"),
    "pairs": ("@.append((<str>, <int>))", "@.pop()", "@.sort()", "@.reverse()", "@.insert(0, (<w>, <n>))",
              "@.sort(key=lambda p: p[1])"),
    "rows": ("@.append([<int>, <n>])", "@[0].append(<int>)", "@[-1][0] = <int>", "@.pop()", "@.reverse()",
             "@[0], @[-1] = @[-1], @[0]", "@.append(<=list>)", "@[<i>][<i>] += <n>"),
}
"""What changes the variable `@`, by its type."""

STEPS: dict[str, tuple[str, ...]] = {
    "str": ("@ += <str>", "@ += <str>", "@ = <str> + @", "@ += <str>.upper()", "@ += <str>[0]",
            "@ += <str>[::-1]", "@ += <c>", "@ += str(<int>)", "@ += <str> + <sep>", "@ += <str> * <k>",
            "@ += <str>.swapcase()", "@ = @ + <str> if <bool> else <str> + @",
            "@ += <str> if <bool> else <c>", "@ += chr(ord(<char>) + 1)", "@ += f'{<=str>}{<int>}'",
            "@ = @.replace(<str>, <c>)", "@ += <str>.lower()", "@ += <mark>"),
    "int": ("@ += 1", "@ += 1", "@ += <int>", "@ += <int>", "@ = max(@, <int>)", "@ = min(@, <int>)",
            "@ -= <int>", "@ += len(<str>)", "@ -= 1", "@ += <int> * <k>", "@ += <int> % <m>",
            "@ = @ * 2 + <n>", "@ += <n>", "@ += ord(<char>) - ord('a')", "@ += <int> if <bool> else -1",
            "@ = <int>", "@ = @ * 10 + <int>", "@ ^= <int>", "@ += <int> ** 2", "@ += <str>.count(<c>)",
            "@ += int(<char>) if <=char>.isdigit() else 0"),
    "list": ("@.append(<int>)", "@.append(<int>)", "@.insert(0, <int>)", "@ += [<int>]",
             "@.append(<int> * <k>)", "@.append(<int> + <n>)", "@.append(len(<str>))",
             "@.extend([<int>, <int>])", "@.append(<int> ** 2)", "@.append(<int> if <bool> else 0)",
             "@.append(ord(<char>))", "@.append(sum(@) + <int>)", "@.append(<int> // 2)",
             "@.append(<str>.count(<c>))", "@ = [<int>] + @", "@.append(-<int>)", "@.append(<int> - <int>)",
             "@.append(<int> % <m>)"),
    "words": ("@.append(<str>)", "@.append(<str>)", "@.insert(0, <str>)", "@.append(<str>.upper())",
              "@.append(<str>[::-1])", "@.append(<str> * <k>)", "@.append(<str>[0])", "@ += [<str>]",
              "@.append(<str>.strip())", "@.append(str(<int>))", "@.append(f'{<=str>}{<int>}')",
              "@.append(f'{<=str>}={<int>}')", "@.append(<str> + <c>)", "@.append(<str>.replace(<c>, <c>))",
              "@.extend([<str>, <c>])", "@.append(<str>.capitalize() if <bool> else <str>)"),
    "dict": ("@[<str:a>] = @.get(<:a>, 0) + 1", "@[<str:a>] = @.get(<:a>, 0) + 1", "@[<str>] = <int>",
             "@[<str>] = <int>", "@[<str:a>] = len(<:a>)", "@.setdefault(<str>, <int>)",
             "@[<str>[0]] = <int>", "if <str:a> in @:\n    @[<:a>] += 1\nelse:\n    @[<:a>] = 1",
             "if <str:a> not in @:\n    @[<:a>] = 0\n@[<:a>] += <int>", "@.update({<str>: <int>})",
             "@[<str:a>.upper()] = <int>", "@[<str:a>] = @.get(<:a>, 0) + <int>",
             "@[<str:a>] = @.pop(<:a>, 0) + 1", "@[<str>] = <int> * <k>"),
    "tally": ("@[<int:a>] = @.get(<:a>, 0) + 1", "@[<int:a>] = @.get(<:a>, 0) + 1", "@[<int>] = <int>",
              "@[<int:a> % <m>] = <:a>", "@[len(<str>)] = <int>",
              "if <int:a> not in @:\n    @[<:a>] = 0\n@[<:a>] += 1", "@.setdefault(<int>, <n>)",
              "@[len(@)] = <int>"),
    "set": ("@.add(<int>)", "@.add(<int>)", "@.add(<int> % <m>)", "@.add(len(<str>))", "@.discard(<int>)",
            "@ |= {<int>, <n>}"),
    "groups": ("@.setdefault(<str>, []).append(<int>)", "@.setdefault(<str:a>[0], []).append(len(<:a>))",
               "if <str:a> not in @:\n    @[<:a>] = []\n@[<:a>].append(<int>)", "@[<str>] = [<int>]",
               "@.setdefault(<str>[-1], []).append(<int>)", "@[<str:a>] = @.get(<:a>, []) + [<int>]"),
    "table": ("@[<str>] = {<str>: <int>}", "@.setdefault(<str:a>[0], {})[<:a>] = <int>",
              "@[<str:a>] = {'n': len(<:a>), 'x': <int>}",
              "if <str:a> not in @:\n    @[<:a>] = {'n': 0}\n@[<:a>]['n'] += <int>"),
    "pairs": ("@.append((<str>, <int>))", "@.append((<str:a>, len(<:a>)))", "@.insert(0, (<str>, <int>))",
              "@ += [(<str>, <n>)]"),
    "rows": ("@.append([<int>])", "@.append([<int>, <int>])", "@.insert(0, [<int>, <n>])"),
}
"""What a loop does to the variable `@` that gathers its results, by that variable's type."""

LOOPS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("for %a in <=str>:", (("a", "char"),)), ("for %a in <=str>:", (("a", "char"),)), ("for %a in <=str>:",
    (("a", "char"),)),
    ("for %a in <=list>:", (("a", "int"),)), ("for %a in <=list>:", (("a", "int"),)), ("for %a in <=list>:",
    (("a", "int"),)),
    ("for %a in <=words>:", (("a", "str"),)), ("for %a in <=words>:", (("a", "str"),)),
    ("for %i, %a in enumerate(<=str>):", (("i", "index"), ("a", "char"))),
    ("for %i, %a in enumerate(<=list>):", (("i", "index"), ("a", "int"))),
    ("for %i, %a in enumerate(<=words>):", (("i", "index"), ("a", "str"))),
    ("for %i, %a in enumerate(<=list>, 1):", (("i", "index"), ("a", "int"))),
    ("for %i in range(len(<=str:s>)):", (("i", "index"), ("<:s>[%i]", "char"))),
    ("for %i in range(len(<=list:s>)):", (("i", "index"), ("<:s>[%i]", "int"))),
    ("for %i in range(len(<=words:s>)):", (("i", "index"), ("<:s>[%i]", "str"))),
    ("for %i in range(0, len(<=list:s>), 2):", (("i", "index"), ("<:s>[%i]", "int"))),
    ("for %i in range(len(<=str:s>) - 1):", (("i", "index"), ("<:s>[%i]", "char"), ("<:s>[%i + 1]", "char"))),
    ("for %i in range(1, len(<=list:s>)):", (("i", "index"), ("<:s>[%i]", "int"), ("<:s>[%i - 1]", "int"))),
    ("for %i in range(len(<=list:s>) - 1, -1, -1):", (("i", "index"), ("<:s>[%i]", "int"))),
    ("for %i in range(len(<=str:s>) - 1, -1, -1):", (("i", "index"), ("<:s>[%i]", "char"))),
    ("for %i in range(<=int>):", (("i", "index"),)), ("for %i in range(<k>):", (("i", "index"),)),
    ("for %i in range(1, <m>):", (("i", "index"),)),
    ("for %i in range(<n>, 0, -<k>):", (("i", "index"),)), ("for %i in range(1, <=int> + 1):", (("i",
    "index"),)), ("for %i in range(0, <N>, 5):", (("i", "index"),)),
    ("for %a in <=str>.split():", (("a", "str"),)), ("for %a in <=str>.split(<sep>):", (("a", "str"),)),
    ("for %a in <=str>[::-1]:", (("a", "char"),)),
    ("for %a in reversed(<=str>):", (("a", "char"),)), ("for %a in sorted(<=str>):", (("a", "char"),)),
    ("for %a in <=str>[1:]:", (("a", "char"),)), ("for %a in <=str>.lower():", (("a", "char"),)),
    ("for %a in sorted(<=list>):", (("a", "int"),)), ("for %a in <=list>[::-1]:", (("a", "int"),)),
    ("for %a in <=list>[1:]:", (("a", "int"),)), ("for %a in reversed(<=list>):", (("a", "int"),)),
    ("for %a in <=words>[::-1]:", (("a", "str"),)), ("for %a in sorted(<=words>):", (("a", "str"),)),
    ("for %a in <=tuple>:", (("a", "int"),)), ("for %a in sorted(<=set>):", (("a", "int"),)),
    ("for %a in <=dict>:", (("a", "str"), )), ("for %a, %b in <=dict>.items():", (("a", "str"), ("b",
    "int"))), ("for %a, %b in <=dict>.items():", (("a", "str"), ("b", "int"))),
    ("for %b in <=dict>.values():", (("b", "int"),)), ("for %a in sorted(<=dict>):", (("a", "str"),)),
    ("for %a, %b in sorted(<=dict>.items()):", (("a", "str"), ("b", "int"))),
    ("for %a in <=dict:s>.keys():", (("a", "str"), ("<:s>[%a]", "int"))), ("for %a in list(<=dict:s>):",
    (("a", "str"), ("<:s>[%a]", "int"))),
    ("for %a, %b in <=pairs>:", (("a", "str"), ("b", "int"))), ("for %a, %b in <=pairs>:", (("a", "str"),
    ("b", "int"))), ("for %a, %b in <=tally>.items():", (("a", "int"), ("b", "int"))),
    ("for %a, %b in zip(<=list:s>, <:s>[1:]):", (("a", "int"), ("b", "int"))),
    ("for %a, %b in zip(<=list>, <=list>):", (("a", "int"), ("b", "int"))),
    ("for %a, %b in zip(<=words>, <=list>):", (("a", "str"), ("b", "int"))),
    ("for %a, %b in zip(<=str>, <=list>):", (("a", "char"), ("b", "int"))),
    ("for %a, %b in zip(<=str>, <=str>):", (("a", "char"), ("b", "char"))),
    ("for %a in <=rows>:", (("a", "list"),)), ("for %a in <=rows>:", (("a", "list"),)),
    ("for %a, %b in <=groups>.items():", (("a", "str"), ("b", "list"))),
    ("for %a, %b in <=groups>.items():", (("a", "str"), ("b", "list"))),
    ("for %a, %b in <=table>.items():", (("a", "str"), ("b", "dict"))), ("for %a, %b in <=table>.items():",
    (("a", "str"), ("b", "dict"))), ("for %a in <=table>.values():", (("a", "dict"),)),
)
"""Headers of loops, and what they bind: `%i` an index, `%a` and `%b` items; or what may be read there."""

# fmt: on
_PATTERNS = """
$int:t = 0
while <=int:a> > 0:
    $t += <:a> % 10
    <:a> //= 10

$list:t = []
while <=int:a>:
    $t.append(<:a> % 10)
    <:a> //= 10

$str:t = ''
while <=int:a> > 0:
    $t = str(<:a> % 2) + $t
    <:a> //= 2

$int:t = 0
while <=int:a> > 1:
    <:a> //= <k>
    $t += 1

$int:t = 0
while <=int:a> != 1 and $t < 6:
    <:a> = <:a> // 2 if <:a> % 2 == 0 else 3 * <:a> + 1
    $t += 1

$int:t = 0
while <=int:a> > <n>:
    <:a> -= <m>
    $t += <:a>

$int:t = 1
while $t < <=int>:
    $t *= 2

while <=int:a> % <k> == 0 and <:a>:
    <:a> //= 2

$index:i = 0
while $i < len(<=str:a>) and <:a>[$i] != <c>:
    $i += 1

$index:i = 0
$str:t = ''
while $i < len(<=str:a>):
    $t += <:a>[$i]
    $i += <k>

$index:i = 0
$int:t = 0
while $i < len(<=list:a>):
    if <:a>[$i] > <it>:
        $t += <:a>[$i]
    $i += 1

$index:i = 0
while $i < len(<=list:a>):
    if <:a>[$i] % 2:
        <:a>.pop($i)
    else:
        $i += 1

$list:t = []
while <=list:a>:
    $t.append(<:a>.pop())

$list:t = []
while len(<=list:a>) > 1:
    $t.append(<:a>.pop(0) + <:a>.pop())

$int:t = 0
while <=list:a> and <:a>[-1] > <n>:
    $t += <:a>.pop()

$words:t = []
while <=words:a>:
    $t.append(<:a>.pop(0))
    <:a> = <:a>[::-1]

while <=str:a>.startswith(<c>):
    <:a> = <:a>[1:]

while <=str:a> and <:a>[-1] in <sub>:
    <:a> = <:a>[:-1]

while len(<=str:a>) < <n>:
    <:a> += <c>

while len(<=str:a>) > <n>:
    <:a> = <:a>[1:-1]

while <c:b> in <=str:a>:
    <:a> = <:a>.replace(<:b>, '', 1)

$index:i = <=str:a>.find(<c:b>)
$int:t = 0
while $i >= 0:
    $t += 1
    $i = <:a>.find(<:b>, $i + 1)

$index:i = 0
$int:j = len(<=str:a>) - 1
while $i < $j and <:a>[$i] == <:a>[$j]:
    $i += 1
    $j -= 1

$index:i = 0
$int:j = len(<=list:a>) - 1
while $i < $j:
    <:a>[$i], <:a>[$j] = <:a>[$j], <:a>[$i]
    $i += 1
    $j -= 1

$index:i = 0
$int:j = len(<=list:a>) - 1
while $i < $j:
    if <:a>[$i] > <:a>[$j]:
        $i += 1
    else:
        $j -= 1

while <it:b> in <=list:a>:
    <:a>.remove(<:b>)

$int:t = 0
while True:
    $t += <m>
    if $t > <it>:
        break

$int:b = <n>
while $b:
    <=int:a>, $b = $b, <:a> % $b

$int:p = 0
$int:q = 1
while $q < <=int>:
    $p, $q = $q, $p + $q

$list:t = [1]
while len($t) < <m>:
    $t.append($t[-1] * <k>)

while <=dict:a>:
    $str:k, $int:v = <:a>.popitem()
    if $v > <n>:
        break

$str:t = <=str:a>[0]
for %a in <:a>[1:]:
    if %a != $t[-1]:
        $t += %a

$str:t = ''
$int:n = 1
for %i in range(1, len(<=str:a>)):
    if <:a>[%i] == <:a>[%i - 1]:
        $n += 1
    else:
        $t += <:a>[%i - 1] + str($n)
        $n = 1
$t += <:a>[-1] + str($n)

$int:b = <=list:a>[0]
for %a in <:a>[1:]:
    if %a > $b:
        $b = %a

$str:b = <=words:a>[0]
for %a in <:a>:
    if len(%a) > len($b):
        $b = %a

$str:b = ''
for %a in <=words>:
    if %a > $b:
        $b = %a

$dict:t = {}
for %a in <=str>:
    if %a in $t:
        $t[%a] += 1
    else:
        $t[%a] = 1
$str:b = max($t, key=$t.get)

$dict:t = {}
for %a in <=str>:
    $t[%a] = $t.get(%a, 0) + 1
$words:r = [k for k in $t if $t[k] == 1]

$dict:t = {}
for %a in <=words>:
    $t[%a] = $t.get(%a, 0) + 1
$pairs:r = sorted($t.items(), key=lambda kv: (-kv[1], kv[0]))

$list:t = []
for %a in <=list>:
    if %a not in $t:
        $t.append(%a)

$words:t = []
for %a in <=str>:
    if %a not in $t:
        $t.append(%a)
$str:r = ''.join($t)

for %a in <=list:a>.copy():
    if %a % 2 == 0:
        <:a>.remove(%a)

for %a in list(<=dict:a>):
    if <:a>[%a] > <n>:
        del <:a>[%a]

for %a in <=dict:a>:
    <:a>[%a] += <n>

for %i in range(len(<=list:a>)):
    <:a>[%i] *= <k>

for %i in range(len(<=list:a>)):
    if <:a>[%i] < 0:
        <:a>[%i] = -<:a>[%i]

for %i in range(1, len(<=list:a>)):
    <:a>[%i] += <:a>[%i - 1]

for %i in range(len(<=list:a>) - 1):
    if <:a>[%i] > <:a>[%i + 1]:
        <:a>[%i], <:a>[%i + 1] = <:a>[%i + 1], <:a>[%i]

for %i in range(len(<=words:a>)):
    <:a>[%i] = <:a>[%i].upper() if %i % 2 == 0 else <:a>[%i]

$words:t = list(<=str:a>)
for %i in range(len($t) // 2):
    $t[%i], $t[-%i - 1] = $t[-%i - 1], $t[%i]
$str:r = ''.join($t)

$words:t = list(<=str:a>)
$t[0], $t[-1] = $t[-1], $t[0]
$str:r = ''.join($t)

$words:t = <=str:a>.split()
$t.reverse()
$str:r = ' '.join($t)

$words:t = <=str:a>.split(<sep>)
$words:r = []
for %a in $t:
    $r.append(%a[::-1])

$list:t = []
for %a in <=rows>:
    for %b in %a:
        $t.append(%b)

$int:t = 0
for %a in <=rows>:
    if sum(%a) > $t:
        $t = sum(%a)

$tally:t = {}
for %i, %a in enumerate(<=list:a>):
    if <N> - %a in $t:
        break
    $t[%a] = %i

$dict:t = {}
for %a, %b in <=dict>.items():
    $t[%a] = %b * <k>

$tally:t = {}
for %a, %b in <=dict>.items():
    $t[%b] = len(%a)

$str:t = ''
for %a in <=str>:
    $t += chr((ord(%a) - ord('a') + <n>) % 10 + ord('a')) if %a.isalpha() else %a

$int:t = 0
for %a in <=str>:
    if %a == <c>:
        $t += 1
    elif %a in 'aeiou':
        $t -= 1

$int:t = 0
for %a in <=str>:
    if %a.isdigit():
        $t = $t * 10 + int(%a)

$str:t = ''
for %a in <=str>:
    if %a.isupper():
        $t += <mark> + %a.lower()
    else:
        $t += %a

try:
    $int:t = int(<=str>)
except ValueError:
    $t = -1

try:
    $int:t = <=list:a>.index(<n>)
except ValueError:
    $t = len(<:a>)

try:
    $int:t = <=dict>[<w>]
except KeyError:
    $t = 0

$str:h, _, $str:r = <=str>.partition(<sep>)

$int:q, $int:r = divmod(<=int>, <m>)

$int:h, *$list:r = <=list>

*$list:h, $int:r = <=list>

$str:h, $str:r = <=str:a>[:2], <:a>[2:]

$int:p, $int:q = <=list:a>[0], <:a>[-1]

$list:e = [x for x in <=list:a> if x % 2 == 0]
$list:o = [x for x in <:a> if x % 2]
"""
PATTERNS = tuple(_PATTERNS.strip("\n").split("\n\n"))
"""Statements that belong together: `$int:t` is a new variable of that type, `$t` is that variable again."""
