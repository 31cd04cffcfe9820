"""The gate: decides, starts, watches and settles runs; holds no key and sees no weight.

One promise a file: ``admission`` (every refusal at once), ``launches`` (order and proof before a recipe runs),
``channel`` (what may leave), ``supervision`` (right after any crash), ``settle`` (evidence), ``incident`` (stop in
seconds). ``states`` is the machine they share; ``invariants`` is what must always hold. GATE.md tells the story.
"""
