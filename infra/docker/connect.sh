#!/bin/sh
# Starts Kafka Connect from the same template as the embedded stack does: user `connect`, and a login for its REST address.
set -eu
file=/secrets/connect-distributed.properties
umask 077
sed -e "s|\${bootstrap}|kafka:9092|g" -e "s|\${port}|8083|g" -e "s|\${plugins}|/kafka/connect|g" \
    /payriver/connect-distributed.properties > "$file"
login='org.apache.kafka.common.security.scram.ScramLoginModule required username="connect" password="'"$PAYRIVER_SECRET_KAFKA_CONNECT"'";'
for prefix in "" producer. consumer. admin.; do
    printf '%s\n' "${prefix}security.protocol=SASL_PLAINTEXT" "${prefix}sasl.mechanism=SCRAM-SHA-256" "${prefix}sasl.jaas.config=$login"
done >> "$file"
printf '%s\n' "listeners=http://0.0.0.0:8083" "rest.advertised.host.name=connect" >> "$file"
printf 'payriver: %s\n' "$PAYRIVER_SECRET_CONNECT_REST" > /secrets/connect-rest.users
cat > /secrets/connect-rest.jaas <<'EOF'
KafkaConnect {
  org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule required file="/secrets/connect-rest.users";
};
EOF
export KAFKA_OPTS="-Djava.security.auth.login.config=/secrets/connect-rest.jaas"
exec /kafka/bin/connect-distributed.sh "$file"
