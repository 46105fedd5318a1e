"""The process manager: what follows from what happened to a payment, until it is done, compensated, or a person's."""
