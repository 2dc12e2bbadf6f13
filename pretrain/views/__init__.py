"""Random augmentation of picture and sound."""
