"""What is allowed, and why not: pure rules over verified facts.

Files that people write (``documents`` and ``fields`` read them: ``terms``, ``agreement``, ``soundness``, ``request``,
``recipe``) and signed registers (``entries``, ``registers``) become a frozen snapshot (``facts``); ``decide`` lists
every reason against a run. Its rules stand one small function each in ``standing``, ``people``, ``purpose``,
``dataset``, ``consent``, ``region``, ``privacy``, ``budget`` and ``machine``; ``refusals`` writes them out for people.
``epsilon`` counts privacy loss outside the training code. Nothing here reads a clock, a file or a network.
"""
