"""What programs of others are told by themselves: signed, repeated until they have taken it."""
