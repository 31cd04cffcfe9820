"""``make bench``: what the sandbox costs, each figure beside what it is compared with, in one run.

``ground``     an installation of its own, set up and taken down by the real command line
``training``   steps a second, against the same loop and coqui's Trainer; ``outside`` starts those
``launching``  from admitted to training, against a bare container
``deciding``   the gate's decisions, under an offered rate
``decrypt``    opening records, against ``openssl speed``
``watching``   a run as the engineer sees it; ``figures`` and ``rounds`` make figures of what was seen
``rows``       the table, and ``build/bench.json``

Nothing here passes or fails a test: a goal that is missed is shown as missed. What needs torch lies in the folder
``bench`` of the repository and is started as a program.
"""
