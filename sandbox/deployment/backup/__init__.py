"""Backups of an installation: made while it runs, restored into a fresh state, tried out by a drill.

A backup holds ciphertext, databases, registers, evidence and a snapshot of Vault; the key that unseals Vault is kept
apart (``keys``), and neither is of use without the other. ``book`` says what lies in a backup, ``copying`` how files
go in and out, ``reviving`` how Vault comes back, ``drill`` does all of it on a scratch state.
"""
