-- Persons have streams too.

ALTER TABLE streams DROP CONSTRAINT streams_category_check;
ALTER TABLE streams ADD CONSTRAINT streams_category_check CHECK (category IN ('account', 'payment', 'person'));
