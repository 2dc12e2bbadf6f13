"""A classifier from a few labels: heads on a frozen encoder, their calibration, and timelines of videos."""
