"""AWS Security Token Service: temporary keys, and who one is."""
