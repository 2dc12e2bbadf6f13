"""The ground floor: errors, atomic files, randomness, progress, pages and figures."""
