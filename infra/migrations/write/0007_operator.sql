-- A replay of a parked message runs the consumer's own handler as operator: of chain.commands too.

GRANT SELECT, INSERT ON chain_intents TO operator;
