"""``make demo``: the main job on real parts, in nine chapters, ending with a report that can fail.

``speech``    real recordings, from Debian's packages
``house``     the people, each the real command line with a login of their own
``story``     the chapters
``attempts``  what must fail, tried; ``thief`` helps it
``report``    the page, and ``build/demo.json``
"""
