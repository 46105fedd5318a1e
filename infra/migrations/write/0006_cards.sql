-- Whose card is it: the one question the gateway asks before it knows the payment. Written with the account's registration.

CREATE TABLE cards (
    card_token  text PRIMARY KEY,
    account_id  uuid NOT NULL
);

GRANT SELECT ON cards TO gateway, auditor;
GRANT SELECT, INSERT ON cards TO operator;
