#!/bin/sh
# Starts the broker from the same template as the embedded stack does, with listeners for a network of containers; formats it the first time,
# with its SCRAM users. PAYRIVER_SECRET_KAFKA_<USER> are their passwords.
set -eu
data=/var/lib/kafka/data
file=/secrets/server.properties
umask 077
sed -e "s|\${port}|9092|g" -e "s|\${controller_port}|9093|g" -e "s|\${data}|$data|g" \
    -e "s|\${flush_messages}|1|g" \
    -e "s|\${broker_password}|$PAYRIVER_SECRET_KAFKA_BROKER|g" \
    -e "s|\${controller_password}|$PAYRIVER_SECRET_KAFKA_CONTROLLER|g" /payriver/server.properties > "$file"
# The last of two lines of one name counts. CLIENT is for containers, HOST for programs on the engine's machine.
cat >> "$file" <<EOF
listeners=CLIENT://0.0.0.0:9092,HOST://0.0.0.0:9094,CONTROLLER://127.0.0.1:9093
advertised.listeners=CLIENT://kafka:9092,HOST://$PAYRIVER_KAFKA_ADVERTISED
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,HOST:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
listener.name.host.sasl.enabled.mechanisms=SCRAM-SHA-256
listener.name.host.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
EOF
if [ ! -f "$data/meta.properties" ]; then
    set --
    for user in $PAYRIVER_USERS; do
        name=$(echo "PAYRIVER_SECRET_KAFKA_${user}" | tr '[:lower:]' '[:upper:]')
        eval "password=\$$name"
        set -- "$@" --add-scram "SCRAM-SHA-256=[name=$user,iterations=8192,password=$password]"
    done
    /opt/kafka/bin/kafka-storage.sh format --cluster-id "$(/opt/kafka/bin/kafka-storage.sh random-uuid)" --config "$file" "$@"
fi
# What the health check logs in with.
cat > /secrets/admin.properties <<EOF
security.protocol=SASL_PLAINTEXT
sasl.mechanism=SCRAM-SHA-256
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="$PAYRIVER_SECRET_KAFKA_ADMIN";
EOF
exec /opt/kafka/bin/kafka-server-start.sh "$file"
