"""`sys.exit` with a text: exit code 1."""
import sys

sys.exit("that is all")
