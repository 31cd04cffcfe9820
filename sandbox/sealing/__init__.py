"""``sealed/1`` and ``sealed-artifact/1``: the byte formats of everything that lies on a disk.

Both sides import this package; it knows no Vault. Keys come through :mod:`sandbox.sealing.keyring`, the newest
version's name through :mod:`sandbox.sealing.head`.

========================  ==================================================================
``writer.seal``           the custodian: records in memory to ciphertext and a signed manifest
``reader.SealedDataset``  the keeper: every check first, then record by record
``artifacts``             what a run derives: sealed by the keeper, checked by the gate
``audio``                 FLAC and back, in memory, within bounds
========================  ==================================================================
"""
