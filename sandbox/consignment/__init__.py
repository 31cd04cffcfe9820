"""The consignment: recordings on their way from Party A to the custodian, numbered, signed and encrypted to one key.

A ustar archive, in this order and nothing else:

    consignment.dsse.json       in-toto statement, signed by Party A's key (``letter``)
    manifest-sha256.txt         ``SHA256  SIZE  NAME`` a line, one line a file (``manifest``)
    findings.json               what the scan for identifiers found, and what was done about it (``findings``)
    data/000000.sealed, …       one recording each, in chunks (``chunks``), under a key for this consignment alone

The content key is encrypted to the custodian's intake key by HPKE (``envelope``). ``bag`` reads and checks the whole in
one pass; ``receipt`` is what the custodian answers.
"""
