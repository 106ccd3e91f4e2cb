"""Functions of scripts.

The notation is that of `notation`, with one more hole: `<print>` prints what was made.
"""

from __future__ import annotations

_FUNCTIONS = """
int int: gcd hcf f
def $name($p, $q):
    while $q:
        $p, $q = $q, $p % $q
    return $p

int int: difference distance f
def $name($p, $q):
    if $p > $q:
        return $p - $q
    return $q - $p

int int: combine scale f
def $name($p, $q):
    return $p * <k> + $q

int int: mean average f
def $name($p, $q):
    return ($p + $q) / 2

digit digit: power raise_to f
def $name($p, $q=<k>):
    $r = 1
    for _ in range($q):
        $r *= $p
    return $r

int: square sq f
def $name($p):
    return $p * $p

int: is_even even f
def $name($p):
    return $p % 2 == 0

int: absolute magnitude f
def $name($p):
    if $p < 0:
        return -$p
    return $p

digit: factorial fact f
def $name($p):
    if $p <= 1:
        return 1
    return $p * $name($p - 1)

digit: sum_to triangle f
def $name($p):
    if $p == 0:
        return 0
    return $p + $name($p - 1)

small: fib fibonacci f
def $name($p):
    if $p < 2:
        return $p
    return $name($p - 1) + $name($p - 2)

digit: factorial product_to f
def $name($p):
    $r = 1
    for i in range(1, $p + 1):
        $r *= i
    return $r

digit: fib nth_fib f
def $name($p):
    a, b = 0, 1
    for _ in range($p):
        a, b = b, a + b
    return a

int: is_prime prime f
def $name($p):
    if $p < 2:
        return False
    for d in range(2, $p):
        if $p % d == 0:
            return False
    return True

int: digit_sum sum_digits f
def $name($p):
    $r = 0
    while $p > 0:
        $r += $p % 10
        $p //= 10
    return $r

digit: collatz chain f
def $name($p):
    $r = []
    while $p > 1:
        $r.append($p)
        if $p % 2 == 0:
            $p //= 2
        else:
            $p = 3 * $p + 1
    return $r

int: grade classify f
def $name($p):
    if $p >= <N>:
        return 'high'
    elif $p >= <m>:
        return 'low'
    return 'none'

int: is_palindrome mirrored f
def $name($p):
    return str($p) == str($p)[::-1]

int int: divide safe_div f
def $name($p, $q):
    try:
        return $p // $q
    except ZeroDivisionError:
        return 0

list: total sum_list f
def $name($p):
    $r = 0
    for x in $p:
        $r += x
    return $r

list: average mean f
def $name($p):
    return sum($p) / len($p)

list: largest find_max f
def $name($p):
    b = $p[0]
    for x in $p:
        if x > b:
            b = x
    return b

list: double scale f
def $name($p):
    return [x * <k> for x in $p]

list: evens only_even f
def $name($p):
    $r = []
    for x in $p:
        if x % 2 == 0:
            $r.append(x)
    return $r

list int: count_of occurrences f
def $name($p, $q):
    $r = 0
    for x in $p:
        if x == $q:
            $r += 1
    return $r

list int: find index_of f
def $name($p, $q):
    for i, x in enumerate($p):
        if x == $q:
            return i
    return -1

list: spread value_range f
def $name($p):
    return max($p) - min($p)

list: median middle f
def $name($p):
    $p = sorted($p)
    return $p[len($p) // 2]

list: total add_up f
def $name($p):
    if not $p:
        return 0
    return $p[0] + $name($p[1:])

str: is_palindrome check f
def $name($p):
    return $p == $p[::-1]

str: count_vowels vowels f
def $name($p):
    $r = 0
    for c in $p:
        if c in 'aeiou':
            $r += 1
    return $r

str: reverse flip f
def $name($p):
    $r = ''
    for c in $p:
        $r = c + $r
    return $r

str: capitalize cap f
def $name($p):
    return $p[0].upper() + $p[1:]

str: count_letters histogram f
def $name($p):
    d = {}
    for c in $p:
        d[c] = d.get(c, 0) + 1
    return d

str digit: repeat times f
def $name($p, $q=<k>):
    return $p * $q

str: shout emphasize f
def $name($p):
    return f'{$p}!'

str str: is_anagram same_letters f
def $name($p, $q):
    return sorted($p) == sorted($q)

str str: greet join_names f
def $name($p, $q):
    return f'{$p}, {$q}'

words: upper_all shout_all f
def $name($p):
    $r = []
    for w in $p:
        $r.append(w.upper())
    return $r

words: longest longest_word f
def $name($p):
    b = ''
    for w in $p:
        if len(w) > len(b):
            b = w
    return b

words: lengths measure f
def $name($p):
    return {w: len(w) for w in $p}

dict: total_of sum_values f
def $name($p):
    $r = 0
    for k, v in $p.items():
        $r += v
    return $r

dict str: lookup get_price f
def $name($p, $q):
    if $q in $p:
        return $p[$q]
    return None
"""
FUNCTIONS = tuple(
    (*block.partition("\n")[0].split(": "), block.partition("\n")[2])
    for block in _FUNCTIONS.strip("\n").split("\n\n")
)
"""Functions: the types of their arguments `$p` and `$q`, names for them, their text; they make `$r`."""
