"""A star import."""

pi = 3
from math import *
x = pi
from cmath import *
y = e
