"""How deep a value that somebody sends may be nested: a thousand levels, as Python has it. To import this is to have it so.

A library that comes with eth-account allows itself 100,000. Python's scanner of JSON is written in C and believes it: 65 kB of opening
brackets then run off the stack and end the process, before anybody has asked who sent them.
"""

from __future__ import annotations

import sys

import eth_account  # noqa: F401  (first: what is imported once does not raise the limit again)

LEVELS = 1000

sys.setrecursionlimit(LEVELS)
