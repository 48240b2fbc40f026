"""Language models behind an API: requests, replies that are stored for good, money that is counted."""
