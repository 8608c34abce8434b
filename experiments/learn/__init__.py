"""Exercises that answer: a course of small wrong programs, which the student puts right.

`course.py` is what an exercise is and what a student's folder holds, `judge.py` and `runner.py` check one answer in a
process of its own, `checking.py` is what checks are written with, `session.py`, `watch.py` and `keyboard.py` are what
a student sees, `grading.py` and `authoring.py` are for lecturers, and `seeds.py` makes exercises for one student alone
from the functions in `terms.py`.
"""

LIMIT = 30.0  # seconds that an answer may take, unless --limit says otherwise
