"""How this node is: what its jobs did, and what nodes are watched by."""
