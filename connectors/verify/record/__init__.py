"""What was recorded: streams, states, words, the log over them, persons, and what the tables are made of."""
