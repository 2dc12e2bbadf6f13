"""From a query to videos and times."""
