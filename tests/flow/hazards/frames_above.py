# What stands above the module belongs to whoever runs it.

import inspect
import sys
import warnings


def names_above():
    return [record.function for record in inspect.stack()]


def depth():
    frame, count = sys._getframe(), 0
    while frame:
        frame = frame.f_back
        count += 1
    return count


before = depth()
warnings.warn("look", stacklevel=2)
above = names_above()
print(before == depth(), above[0])
