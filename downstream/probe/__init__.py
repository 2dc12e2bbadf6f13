"""How much frozen features say of labels."""
