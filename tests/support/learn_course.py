"""The shipped exercises, and how long their tests wait."""

from experiments.learn.course import SHIPPED, read_course

COURSE = read_course(SHIPPED)
LONG = 300  # seconds: no test waits that long unless something hangs
