"""Where sealed datasets lie, and how they reach a run: a folder, or a bucket of an S3-compatible object store.

``settings``    what the operator chose (``configs/storage.yaml``)
``credential``  the keys of the object store: handed over in a file, one for each hand
``root``        all datasets of an installation, in a folder or under a bucket's prefix
``bucket``      one dataset's objects under a bucket's prefix, by way of ``client``; shards while they are ``growing``
``patience``    what a failed request means, and how often it is tried again
``ahead``       reading in sequence before it is asked for
``cache``       verified ciphertext on this machine, for containers to mount; its ``objects`` by content

On the host alone: a container sees a folder. What goes into a bucket is ciphertext, wrapped keys and signed manifests.
"""
