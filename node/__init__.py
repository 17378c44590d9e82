"""A space's service: its publication, its members' home, and its desk."""
