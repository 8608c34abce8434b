"""Every check that needs a GPU, in one command: its stages, how they are run, and the page they end in.

`stages.py` is the table of stages; `runner.py` runs them and keeps the record; `measure.py` is what those stages run
that are not another command; `page.py` turns the record into a page and a Markdown table.
"""
