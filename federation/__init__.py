"""The hub: the network's directory, map, charter, visits and account."""
