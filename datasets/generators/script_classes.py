"""Classes of scripts, and what scripts do with their objects.

The notation is that of `method_steps`, with one more hole: `<print>` prints what was made.
"""

from __future__ import annotations

_CLASSES = """
class $class:
    def __init__(self):
        self.@a = 0

    def @m(self, p):
        self.@a += p
        return self.@a
---
$obj = $class()
$obj.@m(<n>)
$obj.@m(<n>)
print($obj.@a)
===
class $class:
    def __init__(self, p):
        self.@a = p

    def @m(self, p):
        if p > self.@a:
            return False
        self.@a -= p
        return True
---
$obj = $class(<N>)
print($obj.@m(<n>))
print($obj.@m(<N>))
print($obj.@a)
===
class $class:
    def __init__(self):
        self.@a = []

    def push(self, p):
        self.@a.append(p)

    def pop(self):
        return self.@a.pop()
---
$obj = $class()
$obj.push(<n>)
$obj.push(<n>)
$int:t = $obj.pop()
<print>
===
class $class:
    def __init__(self):
        self.@a = []

    def push(self, p):
        self.@a.append(p)

    def __len__(self):
        return len(self.@a)
---
$obj = $class()
for %x in <list>:
    $obj.push(%x)
print(len($obj))
===
class $class:
    def __init__(self, w, h):
        self.w = w
        self.h = h

    def area(self):
        return self.w * self.h
---
$obj = $class(<m>, <n>)
$int:t = $obj.area()
<print>
===
class $class:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def move(self, p, q):
        self.x += p
        self.y += q

    def __repr__(self):
        return f'({self.x}, {self.y})'
---
$obj = $class(<n>, <n>)
$obj.move(<k>, -<n>)
print($obj)
===
class $class:
    def __init__(self, name, @a):
        self.name = name
        self.@a = @a

    def __repr__(self):
        return f'{self.name}: {self.@a}'
---
$obj = $class(<w>, <n>)
$obj.@a += <m>
print($obj)
===
class $class:
    def __init__(self, name):
        self.name = name

    def @m(self):
        return f'{self.name}!'


class $sub($class):
    def @m(self):
        return super().@m() + '!'
---
$obj = $sub(<w>)
print($obj.@m())
===
class $class:
    def __init__(self):
        self.@a = {}

    def @m(self, p):
        self.@a[p] = self.@a.get(p, 0) + 1
---
$obj = $class()
for %x in <words>:
    $obj.@m(%x)
print($obj.@a)
===
class $class:
    @a = 0

    def __init__(self, p):
        self.p = p
        $class.@a += 1
---
$obj = $class(<n>)
print($obj.p, $class.@a)
===
class $class:
    def __init__(self, p):
        self.p = p

    @property
    def @a(self):
        return self.p * <k>
---
$obj = $class(<n>)
print($obj.@a)
===
class $class:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        while self.n > 0:
            yield self.n
            self.n -= 1
---
$list:t = list($class(<k>))
<print>
===
class $class:
    def __init__(self, n):
        self.n = n

    def __add__(self, other):
        return $class(self.n + other.n)

    def __eq__(self, other):
        return self.n == other.n
---
$obj = $class(<n>) + $class(<n>)
print($obj.n, $obj == $class(<n>))
===
@dataclass
class $class:
    name: str
    @a: int = 0
---
$obj = $class(<w>, <n>)
$obj.@a += <n>
print($obj)
"""
CLASSES = tuple(tuple(block.split("\n---\n")) for block in _CLASSES.strip("\n").split("\n===\n"))
"""Classes, each with what a script does with it; `@a` is an attribute, `@m` a method."""
