"""Vault, one file a hand: session (the keeper), minting (the gate), custody (the custodian), people (the CLI).

No file serves two hands, and this one imports nothing, so that a program loads its own hand only.
hvac lives here and nowhere else.
"""
