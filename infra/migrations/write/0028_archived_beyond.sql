-- Rows beyond the last slice may have been archived there: the slice that takes them has a cold partition from the beginning.
DO $do$
BEGIN
    EXECUTE replace(
        pg_get_functiondef('open_slices'::regproc),
        $before$PERFORM open_leaf(slice, slice || '_hot', false);$before$,
        $after$PERFORM open_leaf(slice, slice || '_hot', false);
        IF EXISTS (SELECT FROM events_beyond AS b WHERE b.archived AND b.position >= number * rows AND b.position < (number + 1) * rows) THEN
            PERFORM open_leaf(slice, slice || '_cold', true);
        END IF;$after$
    );
END
$do$;
