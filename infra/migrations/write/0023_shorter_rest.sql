-- An append bounds how long its transaction may rest; it never gives more time than its caller has set. Who answers the card network has set
-- what is left of the deadline: frozen between append and commit, it would else hold the account's row for 20 seconds, and commit late.
DO $do$
BEGIN
    EXECUTE replace(
        pg_get_functiondef('append_events'::regproc),
        $before$done := set_config('idle_in_transaction_session_timeout', '20s', true) || set_config('transaction_timeout', '5min', true);$before$,
        $after$IF current_setting('idle_in_transaction_session_timeout')::interval NOT BETWEEN '1ms' AND '20s' THEN  -- 0: for ever
            done := set_config('idle_in_transaction_session_timeout', '20s', true);
        END IF;
        done := set_config('transaction_timeout', '5min', true);$after$
    );
END
$do$;
