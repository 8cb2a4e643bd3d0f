"""A synthetic world: short videos with sound and known truth."""
