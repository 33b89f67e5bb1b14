"""Search for settings: what is varied (``space``), trials (``trials``), the search, and its report."""
