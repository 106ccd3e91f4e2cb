"""UserString."""

from collections import UserString
s = UserString("a")
s.data = "b"
s.data = "c"
