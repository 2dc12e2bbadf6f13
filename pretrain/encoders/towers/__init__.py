"""Text towers that runs train beside their encoder."""
