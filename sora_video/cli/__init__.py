"""The ``sora`` command; one file a group of verbs."""
