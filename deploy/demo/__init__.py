"""The demonstration: a hub, one node for each operator, and the founding visit."""
