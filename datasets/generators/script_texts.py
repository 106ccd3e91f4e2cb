"""Work on texts and dicts, as scripts have it at the top level of a module.

The notation is that of `notation`, with one more hole: `<print>` prints what was made.
"""

from __future__ import annotations

_TEXTS = """
$str:s = <str>
$dict:d = {}
for %c in $s:
    $d[%c] = $d.get(%c, 0) + 1
<print>

$str:s = <phrase>
$dict:d = {}
for %w in $s.split():
    if %w in $d:
        $d[%w] += 1
    else:
        $d[%w] = 1
<print>

$words:w = <words>
$dict:d = {}
for %a in $w:
    $d[%a] = len(%a)
<print>

$words:w = <words>
$dict:d = {}
for %a in $w:
    $d[%a] = $d.get(%a, 0) + 1
for %k, %v in sorted($d.items()):
    print(%k, %v)

$words:w = <words>
$str:b = ''
for %a in $w:
    if len(%a) > len($b):
        $b = %a
<print>

$words:w = <words>
$groups:d = {}
for %a in $w:
    $d.setdefault(%a[0], []).append(%a)
print($d)

$words:w = <words>
$str:t = ''
for %a in $w:
    $t += %a[0].upper()
<print>

$words:w = <words>
for %i, %a in enumerate($w, 1):
    print(f'{%i}. {%a}')

$words:w = <words>
$str:t = ', '.join($w)
print($t)

$words:w = sorted(<words>)
for %a in $w:
    print(%a.title())

$words:w = <words>
$list:l = [len(%a) for %a in $w]
<print>

$words:w = <words>
$list:l = <list>
for %a, %b in zip($w, $l):
    print(f'{%a}: {%b}')

$str:s = <str>
$str:r = ''
for %c in $s:
    $r = %c + $r
<print>

$str:s = <str>
$str:r = $s[::-1]
print($s == $r)

$str:s = <str>
$total:t = 0
for %c in $s:
    if %c in 'aeiou':
        $t += 1
<print>

$str:s = <str>
$str:r = ''
for %c in $s:
    if %c not in 'aeiou':
        $r += %c
<print>

$str:s = <str>
$str:r = ''
for %i in range(len($s)):
    if %i % 2 == 0:
        $r += $s[%i].upper()
    else:
        $r += $s[%i]
<print>

$str:s = <str>
$str:r = ''
for %c in $s:
    $r += chr((ord(%c) - ord('a') + <n>) % 10 + ord('a'))
<print>

$str:s = <str>
$str:r = ''
for %c in $s:
    if %c.isalpha():
        $r += %c
print($r.upper())

$str:s = <str>
$str:r = ''
while $s:
    $r += $s[-1]
    $s = $s[:-1]
<print>

$str:s = <str>
while len($s) < <m>:
    $s += <mark>
print($s)

$str:s = <str>
$index:i = 0
while $i < len($s) and $s[$i] != <c>:
    $i += 1
<print>

$str:s = <phrase>
$words:w = $s.split()
$words:r = []
for %a in $w:
    $r.append(%a.capitalize())
print(' '.join($r))

$str:s = <phrase>
$words:w = $s.split()
$w.reverse()
print(' '.join($w))

$str:s = <phrase>
$str:r = $s.replace(' ', <mark>).upper()
<print>

$str:s = <str>
$str:t = ''
$int:n = 1
for %i in range(1, len($s)):
    if $s[%i] == $s[%i - 1]:
        $n += 1
    else:
        $t += $s[%i - 1] + str($n)
        $n = 1
$t += $s[-1] + str($n)
<print>

$dict:d = <dict>
$total:t = 0
for %k, %v in $d.items():
    $t += %v
<print>

$dict:d = <dict>
for %k, %v in $d.items():
    print(f'{%k} = {%v}')

$dict:d = <dict>
for %k in $d:
    $d[%k] += <n>
print($d)

$dict:d = <dict>
$d[<w>] = <n>
for %k in sorted($d):
    print(%k, $d[%k])

$dict:d = <dict>
$str:b = max($d, key=$d.get)
<print>

$dict:d = <dict>
$words:w = []
for %k, %v in $d.items():
    if %v > <m>:
        $w.append(%k)
<print>

$dict:d = <dict>
$total:t = 0
for %a in [<key>, <key>, <w>]:
    $t += $d.get(%a, 0)
<print>

$table:d = <table>
for %k, %v in $d.items():
    print(%k, sum(%v.values()))

$pairs:p = <pairs>
$total:t = 0
for %k, %v in $p:
    $t += %v
    print(%k, $t)

$pairs:p = <pairs>
$p.sort(key=lambda p: p[1])
print($p[0])

$str:s = <str>
print($s.upper(), len($s))
print($s[::-1])
"""
TEXTS = tuple(_TEXTS.strip("\n").split("\n\n"))
"""Work on texts and dicts."""
