"""The keeper: the container's first process. It holds the data keys and never runs recipe code.

``__main__``  the story of one run, in numbered steps
``confine``   what makes the keeper unreadable, and how the trainer is started before any key exists
``grant``     the order checked against the image's trust anchors and the mounted bytes
``unlock``    keys through the Vault door, and the end of the credential
``door``      numbered frames to the gate, resent after a reconnection
``pipe``      frames to and from the trainer
``feed``      utterances, decrypted and decoded ahead of need
``outgoing``  what a run derives, sealed piece by piece
``keeping``   the conversation with the trainer, and what it may say
"""
