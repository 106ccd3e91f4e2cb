"""Statements of the family `methods` that belong together: digits, two pointers, runs of letters, first seen.

The notation is that of `notation`, its words those of `method_forms`; a blank line separates patterns.
"""

from __future__ import annotations

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
"""Statements that belong together."""
