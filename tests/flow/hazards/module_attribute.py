"""A module's variable set through sys.modules."""

import sys
y = 1
sys.modules["__main__"].y = 4
z = y
setattr(sys.modules["__main__"], "y", 5)
z = y
sys.modules["__main__"].__dict__["y"] = 6
z = y
