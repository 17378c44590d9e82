"""How this hub is: what its jobs did, and what hubs are watched by."""
