"""Loops over numbers, as scripts have them at the top level of a module.

The notation is that of `notation`, with one more hole: `<print>` prints what was made.
"""

from __future__ import annotations

_LOOPS = """
$int:n = <start>
$total:t = 0
while $n != 1:
    if $n % 2 == 0:
        $n //= 2
    else:
        $n = 3 * $n + 1
    $t += 1
<print>

$int:n = <start>
$list:s = [$n]
while $n > 1:
    $n = $n // 2 if $n % 2 == 0 else 3 * $n + 1
    $s.append($n)
<print>

$int:n = <big>
$total:t = 0
while $n > 0:
    $t += $n % 10
    $n //= 10
<print>

$int:n = <big>
$total:t = 0
while $n:
    $t = $t * 10 + $n % 10
    $n //= 10
<print>

$int:n = <big>
$str:t = ''
while $n > 0:
    $t = str($n % 2) + $t
    $n //= 2
<print>

$int:n = <big>
$total:t = 0
while $n >= <m>:
    $n //= <k>
    $t += 1
<print>

$int:n = <big>
while $n % 2 == 0:
    $n //= 2
<print>

$int:n = <N>
$int:d = 2
$list:f = []
while $n > 1:
    if $n % $d == 0:
        $f.append($d)
        $n //= $d
    else:
        $d += 1
<print>

$int:p = <N>
$int:q = <N>
while $q:
    $p, $q = $q, $p % $q
<print>

$int:p = <N>
$int:q = <N>
while $p != $q:
    if $p > $q:
        $p -= $q
    else:
        $q -= $p
<print>

$int:p, $int:q = 0, 1
for _ in range(<m>):
    $p, $q = $q, $p + $q
<print>

$list:t = [0, 1]
while len($t) < <m>:
    $t.append($t[-1] + $t[-2])
<print>

$list:t = [1, 1]
for %i in range(2, <m>):
    $t.append($t[%i - 1] + $t[%i - 2])
<print>

$int:p = 0
$int:q = 1
while $p < <N>:
    print($p)
    $p, $q = $q, $p + $q

$total:t = 1
for %i in range(1, <m>):
    $t *= %i
<print>

$total:t = 0
for %i in range(1, <m> + 1):
    $t += %i
<print>

$total:t = 0
for %i in range(<n>, <N>, <m>):
    $t += %i
<print>

$total:t = 0
for %i in range(1, <m> + 2):
    if %i % <k> == 0:
        $t += %i
<print>

$total:t = 0
for %i in range(<m>):
    if %i % 2:
        continue
    $t += %i ** 2
<print>

$total:t = 1
$index:i = 0
while $t < <N>:
    $t *= <k>
    $i += 1
<print>

$list:t = []
for %i in range(2, <m> + 3):
    for %j in range(2, %i):
        if %i % %j == 0:
            break
    else:
        $t.append(%i)
<print>

$int:n = <N>
$bool:t = True
for %d in range(2, $n):
    if $n % %d == 0:
        $t = False
        break
print($n, $t)

for %i in range(1, <m> + 2):
    if %i % 3 == 0:
        print('fizz')
    elif %i % 5 == 0:
        print('buzz')
    else:
        print(%i)

for %i in range(<k>, <m>):
    print(%i, %i * %i)

for %i in range(<m>, 0, -1):
    print(%i)
print('go')

$int:n = <m>
while $n > 0:
    print($n)
    $n -= 1
print('done')

for %i in range(1, <k> + 2):
    for %j in range(1, 3):
        print(%i, %j, %i * %j)

for %i in range(1, <m>):
    print('*' * %i)

$int:n = <n>
$list:s = []
for %i in range(<m>):
    $s.append($n)
    $n = $n * <k> % <N>
<print>

$int:lo, $int:hi = 0, <N>
$int:n = <N>
while $lo < $hi:
    $int:mid = ($lo + $hi) // 2
    if $mid * $mid < $n:
        $lo = $mid + 1
    else:
        $hi = $mid
<print>

$int:n = <big>
$int:r = <N>
for _ in range(<k>):
    $r = ($r + $n // $r) // 2
<print>

$int:b = <big>
$index:y = 0
while $b < <big> and $y < <m>:
    $b += $b // 10
    $y += 1
<print>

$total:t = <N>
for %a in <list:v>:
    if %a > $t:
        break
    $t -= %a
<print>

$total:t = 0
for %a in <list:v>:
    $t += %a
$total:m = $t / <k>
<print>

$list:v = <list>
$int:b = $v[0]
for %a in $v:
    if %a > $b:
        $b = %a
<print>

$list:v = <list>
$int:b = $v[0]
for %a in $v[1:]:
    $b = min($b, %a)
<print>

$list:v = <list>
$total:t = 0
for %i, %a in enumerate($v):
    $t += %i * %a
<print>

$list:v = <list>
$list:e = []
$list:o = []
for %a in $v:
    if %a % 2 == 0:
        $e.append(%a)
    else:
        $o.append(%a)
print($e, $o)

$list:v = <list>
$list:r = []
for %a in $v:
    if %a not in $r:
        $r.append(%a)
<print>

$list:v = <list>
$list:r = []
$total:t = 0
for %a in $v:
    $t += %a
    $r.append($t)
<print>

$list:v = <list>
for %i in range(len($v) - 1):
    if $v[%i] > $v[%i + 1]:
        $v[%i], $v[%i + 1] = $v[%i + 1], $v[%i]
print($v)

$list:s = []
for %a in <list>:
    $s.append(%a)
    if len($s) > 2:
        $s.pop(0)
print($s)

$list:s = <list>
while len($s) > 1:
    $int:p = $s.pop()
    $int:q = $s.pop()
    $s.append($p - $q)
<print>

$rows:g = <rows>
$total:t = 0
for %r in $g:
    for %c in %r:
        $t += %c
<print>

$rows:g = <rows>
for %r in $g:
    print(sum(%r))

$int:x, $int:y = 0, 0
for %c in <moves>:
    if %c == 'n':
        $y += 1
    elif %c == 's':
        $y -= 1
    else:
        $x += 1
print($x, $y)
"""
LOOPS = tuple(_LOOPS.strip("\n").split("\n\n"))
"""Loops over numbers."""
