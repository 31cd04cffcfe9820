"""The command line: one file a noun, all of them thin. ``main`` is the entry point."""
