"""Output without a line ending, through `sys.stdout`, and on several lines."""
import sys

print("a", end="")
print("b", "c", sep="-")
sys.stdout.write("d\n")
print("e\nf")
