"""``passerelle hub setup`` and ``node setup``: a service, and the files that run it."""
