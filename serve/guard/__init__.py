"""Who may ask for what: hosts, tokens, other sites, rates, times and sizes."""
