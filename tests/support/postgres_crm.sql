-- What the tests' servers hold: customers, two of whom nobody should see whole, and their orders.
CREATE TABLE customers (
    id integer PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL,
    card text,
    notes jsonb NOT NULL DEFAULT '{}',
    created timestamptz NOT NULL DEFAULT '2026-01-02 03:04:05+00'
);
CREATE TABLE orders (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer integer NOT NULL REFERENCES customers,
    total numeric(12, 2) NOT NULL
);
CREATE SCHEMA work AUTHORIZATION writer;
CREATE VIEW buyers AS SELECT c.name, c.email, o.total FROM customers c JOIN orders o ON o.customer = c.id;
CREATE FUNCTION email_of(integer) RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM customers WHERE id = $1';
INSERT INTO customers (id, name, email, card, notes) VALUES
    (1, 'Ada Lovelace', 'ada@example.com', '4111 1111 1111 1111', '{"phone": "+44 20 7946 0000"}'),
    (2, 'Grace Hopper', 'grace@example.com', '5500 0000 0000 0004', '{"vip": true}'),
    (3, 'Ren Höß', 'ren@example.com', NULL, '{}');
INSERT INTO orders (customer, total) VALUES (1, 10.50), (1, 99.99), (2, 1000.00);
GRANT SELECT ON customers, orders, buyers TO reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON customers, orders TO writer;
GRANT SELECT ON buyers TO writer;
