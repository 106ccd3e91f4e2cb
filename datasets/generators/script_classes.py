"""Classes of scripts, and what scripts do with their objects.

The notation is that of `notation`, with one more hole: `<print>` prints what was made.
"""

from __future__ import annotations

_CLASSES = """
class $class:
    def __init__(self):
        self.$attribute = 0

    def $method(self, $argument):
        self.$attribute += $argument
        return self.$attribute
---
$obj = $class()
$obj.$method(<n>)
$obj.$method(<n>)
print($obj.$attribute)
===
class $class:
    def __init__(self, $argument):
        self.$attribute = $argument

    def $method(self, $argument):
        if $argument > self.$attribute:
            return False
        self.$attribute -= $argument
        return True
---
$obj = $class(<N>)
print($obj.$method(<n>))
print($obj.$method(<N>))
print($obj.$attribute)
===
class $class:
    def __init__(self):
        self.$attribute = []

    def push(self, $argument):
        self.$attribute.append($argument)

    def pop(self):
        return self.$attribute.pop()
---
$obj = $class()
$obj.push(<n>)
$obj.push(<n>)
$int:t = $obj.pop()
<print>
===
class $class:
    def __init__(self):
        self.$attribute = []

    def push(self, $argument):
        self.$attribute.append($argument)

    def __len__(self):
        return len(self.$attribute)
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

    def move(self, $argument, q):
        self.x += $argument
        self.y += q

    def __repr__(self):
        return f'({self.x}, {self.y})'
---
$obj = $class(<n>, <n>)
$obj.move(<k>, -<n>)
print($obj)
===
class $class:
    def __init__(self, name, $attribute):
        self.name = name
        self.$attribute = $attribute

    def __repr__(self):
        return f'{self.name}: {self.$attribute}'
---
$obj = $class(<w>, <n>)
$obj.$attribute += <m>
print($obj)
===
class $class:
    def __init__(self, name):
        self.name = name

    def $method(self):
        return f'{self.name}!'


class $sub($class):
    def $method(self):
        return super().$method() + '!'
---
$obj = $sub(<w>)
print($obj.$method())
===
class $class:
    def __init__(self):
        self.$attribute = {}

    def $method(self, $argument):
        self.$attribute[$argument] = self.$attribute.get($argument, 0) + 1
---
$obj = $class()
for %x in <words>:
    $obj.$method(%x)
print($obj.$attribute)
===
class $class:
    $attribute = 0

    def __init__(self, $argument):
        self.$argument = $argument
        $class.$attribute += 1
---
$obj = $class(<n>)
print($obj.$argument, $class.$attribute)
===
class $class:
    def __init__(self, $argument):
        self.$argument = $argument

    @property
    def $attribute(self):
        return self.$argument * <k>
---
$obj = $class(<n>)
print($obj.$attribute)
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
    $attribute: int = 0
---
$obj = $class(<w>, <n>)
$obj.$attribute += <n>
print($obj)
"""
CLASSES = tuple(tuple(block.split("\n---\n")) for block in _CLASSES.strip("\n").split("\n===\n"))
"""Classes, each with what a script does with it; `$attribute`, `$method`, `$argument` are names."""
