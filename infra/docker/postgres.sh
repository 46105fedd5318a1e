#!/bin/sh
# Run once by the PostgreSQL image in an empty data folder: the roles of this server, each with its own password, and the databases that
# only they may enter. PAYRIVER_SERVER is write or read; a role's password is in PAYRIVER_SECRET_<SERVER>_<ROLE>.
set -eu
run() { psql --quiet --set ON_ERROR_STOP=1 --username postgres --dbname "${DATABASE:-postgres}" "$@"; }

for role in $PAYRIVER_ROLES; do
    name=$(echo "PAYRIVER_SECRET_${PAYRIVER_SERVER}_${role}" | tr '[:lower:]' '[:upper:]')
    eval "password=\$$name"
    option=$([ "$role" = cdc ] && echo REPLICATION || true)
    run --set "role=$role" --set "password=$password" <<SQL
CREATE ROLE :"role" LOGIN $option PASSWORD :'password';
SQL
done

run <<SQL
GRANT pg_read_all_stats TO owner;
CREATE DATABASE payriver OWNER owner;
REVOKE ALL ON DATABASE payriver FROM PUBLIC;
SQL
for role in $PAYRIVER_ROLES; do
    [ "$role" = registry ] || [ "$role" = keeper ] || run --set "role=$role" <<SQL
GRANT CONNECT ON DATABASE payriver TO :"role";
SQL
done
if [ "$PAYRIVER_SERVER" = read ]; then
    run <<SQL
CREATE DATABASE registry OWNER registry;
REVOKE ALL ON DATABASE registry FROM PUBLIC;
CREATE DATABASE keys OWNER owner;
REVOKE ALL ON DATABASE keys FROM PUBLIC;
GRANT CONNECT ON DATABASE keys TO keeper, auditor;
SQL
else
    echo "host replication cdc all scram-sha-256" >> "$PGDATA/pg_hba.conf"
fi
