-- The API counts what waits for a person on W too (payriver_parked_...), and reads no more of it than its state.
GRANT SELECT (state) ON parked_messages, webhook_messages TO gateway;
