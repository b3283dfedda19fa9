-- The company's database. What happens to a refund is noted by a trigger, whoever makes it happen.
-- The gateway's login may do all that the demo's agent tries: what does not happen is the gateway's doing.
CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL, email text, card_number text, ssn text, note text);
CREATE TABLE refunds (customer integer, amount numeric(9, 2), state text, bookings integer);
CREATE TABLE bookings (at timestamptz NOT NULL, customer integer, state text);
CREATE FUNCTION book() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN INSERT INTO bookings VALUES (clock_timestamp(), NEW.customer, NEW.state); RETURN NEW; END $$;
CREATE TRIGGER booked AFTER UPDATE ON refunds FOR EACH ROW EXECUTE FUNCTION book();
INSERT INTO refunds VALUES (1042, 40, 'requested', 0);
GRANT SELECT, INSERT, UPDATE, DELETE ON customers, refunds TO crm_app;
GRANT pg_read_server_files TO crm_app;
GRANT EXECUTE ON FUNCTION pg_read_file(text) TO crm_app;
