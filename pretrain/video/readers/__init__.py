"""Supervised readers: processes that decode, and may hang, swell or die without harm to the run."""
