"""The custodian, Party A's hand: seals voices, keeps the registers, writes run policies, bars and destroys keys.

It admits and starts no run, and holds no voice key's decrypt. One file a duty: ``seal people access consent status
erase``; ``registers`` is how any of them is remembered.
"""
