"""One installation on one machine: its places, users, programs, and how it comes up, stays up and goes down.

It starts the gate and the custodian as programs and never imports them.
"""
