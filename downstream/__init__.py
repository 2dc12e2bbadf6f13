"""Light heads on frozen features, measured by the field's protocols."""
