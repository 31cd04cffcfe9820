"""Isolation as data: what a container must be, the engines that make it so, and the kernel that says whether it is.

``spec``             the profile of one run and the properties that follow from it; pure
``engines``          one engine, whichever: its command line is a pure function of the spec
``podman`` ``docker``  the two
``readback``         what the kernel shows of a running container, and how it differs from the spec
``launcher``         the program that holds the engine: starts, reads back, kills
``launcher_client``  how the gate speaks to it
``doors``            the two sockets of a run, and who may knock
"""
