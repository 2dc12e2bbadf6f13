"""Supervised readers: processes that decode, and may hang, die or take too much memory; the run goes on."""
