"""The kinds of index, one file each; the list is :data:`sora_video.index.store.kinds.INDEXES`."""
