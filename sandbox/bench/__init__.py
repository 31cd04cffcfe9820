"""``make bench``: what the sandbox costs, each figure beside what it is compared with, in one run.

Nothing here passes or fails a test: a goal that is missed is shown as missed.
"""
