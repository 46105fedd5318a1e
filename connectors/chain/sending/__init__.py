"""Out to the chain: orders become intents, intents signed transactions, and these are watched until they are mined."""
