"""SQL, and what the shipped policies make of it: texts by the effect and the codes of its gravest findings.

The target is in production, on a Thursday morning (UTC), which is within the shipped change window; DATA governs
`email` and `card` of `customers`. A tuple is a session: its texts come one after the other, and the last one counts.
"""

DATA = """
postgres:
  governed: {crm: {customers: [email, card], "hr.people": [pay]}}
  ungoverned: {crm: [newsletters]}
  lookups: {crm: [email]}
  trusted_functions: [order_total, crm.order_total]
"""

Case = tuple[str | tuple[str, ...], str, str]

READS: list[Case] = [
    ("SELECT 1", "allow", "read"),
    ("", "allow", "read"),
    ("-- nothing", "allow", "read"),
    (";;", "allow", "read"),
    ("SELECT id, total FROM orders WHERE id = 7", "allow", "read"),
    ("SELECT * FROM orders LIMIT 10", "allow", "read"),
    ("SELECT count(*) FROM customers", "allow", "read"),
    ("SELECT id, email FROM customers WHERE id = 7", "allow", "read"),
    ("SELECT email FROM customers WHERE email = $1", "allow", "read"),
    ("SELECT email FROM customers ORDER BY id LIMIT 100", "allow", "read"),
    ("WITH x AS (SELECT id FROM orders) SELECT lower('A'), max(id) FROM x GROUP BY 1", "allow", "read"),
    ("SELECT trim(both from ' a '), extract(year from now()), coalesce(1, 2), current_user", "allow", "read"),
    ("SELECT pg_catalog.version(), current_schema()", "allow", "read"),
    ("SELECT order_total(7), crm.order_total(7), upper('a')", "allow", "read"),
    ("TABLE orders", "allow", "read"),
    ("VALUES (1), (2)", "allow", "read"),
    ("SHOW server_version; SHOW ALL", "allow", "read"),
    ("BEGIN; SELECT id FROM orders; SAVEPOINT a; ROLLBACK TO a; RELEASE a; COMMIT", "allow", "read"),
    ("EXPLAIN SELECT id FROM orders", "allow", "read"),
    ("EXPLAIN ANALYZE SELECT id FROM orders", "allow", "read"),
    ("EXPLAIN DELETE FROM orders", "allow", "read"),
    ("COPY orders TO STDOUT", "allow", "read"),
    ("COPY (SELECT id FROM orders) TO STDOUT WITH (FORMAT csv)", "allow", "read"),
    (("BEGIN", "DECLARE c CURSOR FOR SELECT id FROM orders", "FETCH 10 FROM c; MOVE c; CLOSE c"), "allow", "read"),
    (("PREPARE p AS SELECT id FROM orders WHERE id = $1", "EXECUTE p(7)"), "allow", "read"),
    ("DEALLOCATE ALL; DISCARD TEMP; DISCARD ALL; SET CONSTRAINTS ALL DEFERRED", "allow", "read"),
    ("SET timezone = 'UTC'; SET LOCAL statement_timeout = 5; RESET ALL", "allow", "read"),
    ("SET search_path = crm, public", "allow", "read"),
    ("SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET NAMES 'utf8'", "allow", "read"),
    ("SELECT set_config('jit', 'off', false)", "allow", "read"),
    ("SELECT set_config('jit', $1, false)", "allow", "read"),
    ("SELECT set_config('application_name', $1::text, true)", "allow", "read"),
    ("SELECT DISTINCT id FROM orders UNION SELECT id FROM customers LIMIT $1", "allow", "read"),
    ("SELECT o.name, o.date, o.id / 2, CASE WHEN total > 1 THEN 'x' END FROM orders o", "allow", "read"),
    ("SELECT count(DISTINCT id) FROM customers c, unnest(c.tags) t", "allow", "read"),
    ("SELECT lower(email), email || 'x' FROM customers WHERE id = 7", "allow", "read"),
    ("select count(*) from pgbench_branches; select abalance from pgbench_accounts where aid = 7", "allow", "read"),
    ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "allow", "read"),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "allow", "read"),
    ("LISTEN jobs; UNLISTEN *", "allow", "read"),
    ("SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;", "allow", "read"),
]  # fmt: skip

WRITES: list[Case] = [
    ("INSERT INTO orders (customer, total) VALUES (1, 2)", "hold", "write"),
    ("UPDATE orders SET total = 1 WHERE id = 7", "hold", "write"),
    ("DELETE  FROM orders WHERE id = 7", "hold", "write"),
    ("/* SELECT */ DELETE FROM orders WHERE id = 7 -- SELECT", "hold", "write"),
    ("SELECT 1; DELETE FROM orders WHERE id = 7; SELECT 2", "hold", "write"),
    ("WITH d AS (DELETE FROM orders WHERE id = 7 RETURNING id) SELECT * FROM d", "hold", "write"),
    ("EXPLAIN ANALYZE DELETE FROM orders WHERE id = 7", "hold", "write"),
    ("EXPLAIN (ANALYZE true, BUFFERS) UPDATE orders SET total = 1 WHERE id = 7", "hold", "write"),
    ("COPY (DELETE FROM orders WHERE id = 7 RETURNING id) TO STDOUT", "hold", "write"),
    ("PREPARE p AS DELETE FROM orders WHERE id = 7", "hold", "write"),
    (("PREPARE p AS DELETE FROM orders WHERE id = $1", "EXECUTE p(7)"), "hold", "write"),
    (("PREPARE p AS DELETE FROM orders WHERE id = 7", "EXPLAIN ANALYZE EXECUTE p"), "hold", "write"),
    ("COPY orders FROM STDIN", "hold", "write"),
    ("COPY pg_temp.orders FROM STDIN", "hold", "write"),
    ("SELECT id FROM orders WHERE id = 7 FOR UPDATE", "hold", "write"),
    ("SELECT id FROM (SELECT id FROM orders FOR SHARE) o", "hold", "write"),
    ("MERGE INTO orders o USING changes c ON o.id = c.id WHEN MATCHED THEN DELETE", "hold", "write"),
    ("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE", "hold", "write"),
    ("NOTIFY jobs, 'x'", "hold", "write"),
    ("SELECT nextval('orders_id_seq')", "hold", "unknown-function"),
    ("SELECT pg_advisory_lock(1)", "hold", "unknown-function"),
    ("SELECT close_account(7)", "hold", "unknown-function"),
    ("SELECT 1 OPERATOR(crm.+) 1", "hold", "unknown-function"),
    ("SELECT public.lower('a')", "hold", "unknown-function"),
    ("""SELECT "LOWER"('a')""", "hold", "unknown-function"),
    ("SELECT * FROM close_account(7)", "hold", "unknown-function"),
    ("SELECT id FROM orders WHERE close_account(id) IS NULL", "hold", "unknown-function"),
    ("SELECT id FROM orders ORDER BY close_account(id) LIMIT close_limit()", "hold", "unknown-function"),
    ("EXPLAIN SELECT close_account(7)", "hold", "unknown-function"),
    ("VALUES (close_account(7))", "hold", "unknown-function"),
    ("DECLARE c CURSOR FOR SELECT close_account(7)", "hold", "unknown-function"),
    ("CALL close_account(7)", "hold", "function-body unknown-function"),
    ("INSERT INTO refunds (id) VALUES (1)", "hold", "money"),
    ("""UPDATE crm."Payments" SET amount = 1 WHERE id = 7""", "hold", "money"),
    ("DELETE FROM orders", "block", "unbounded-delete"),
    ("delete from ONLY crm.orders as o", "block", "unbounded-delete"),
    ("DELETE FROM orders WHERE true", "block", "unbounded-delete"),
    ("DELETE FROM orders WHERE 1 = 1 OR id = 7", "block", "unbounded-delete"),
    ("DELETE FROM orders WHERE id = id", "block", "unbounded-delete"),
    ("WITH d AS (DELETE FROM orders RETURNING *) SELECT count(*) FROM d", "block", "unbounded-delete"),
    ("EXPLAIN ANALYZE DELETE FROM orders", "block", "unbounded-delete"),
    ("COPY (DELETE FROM orders RETURNING id) TO STDOUT", "block", "unbounded-delete"),
    ("PREPARE p AS DELETE FROM orders", "block", "unbounded-delete"),
    ("BEGIN; DELETE FROM orders; ROLLBACK", "block", "unbounded-delete"),
    ("UPDATE orders SET total = 0", "block", "unbounded-update"),
    ("UPDATE orders SET total = 0 WHERE NOT false", "block", "unbounded-update"),
    ("MERGE INTO orders o USING changes c ON true WHEN MATCHED THEN DELETE", "block", "unbounded-merge"),
    ("UPDATE orders SET total = total WHERE $1", "block", "unbounded-update"),
    ("DO $$ BEGIN DELETE FROM orders; END $$", "block", "unknown-meaning"),
    ("DO LANGUAGE plpgsql 'BEGIN END'", "block", "unknown-meaning"),
    ("EXECUTE p(7)", "block", "unknown-meaning"),
    ("FETCH ALL FROM c", "block", "unknown-meaning"),
    ("DELETE FROM orders WHERE CURRENT OF c", "block", "unknown-meaning"),
    (("DECLARE c CURSOR FOR TABLE orders", "DELETE FROM orders WHERE CURRENT OF c"), "block", "unknown-meaning"),
]  # fmt: skip

DEFINITIONS: list[Case] = [
    ("CREATE TABLE copied (id int)", "hold", "definition"),
    ("CREATE TABLE copied AS SELECT id FROM orders", "hold", "definition"),
    ("SELECT id INTO copied FROM orders", "hold", "definition"),
    ("CREATE VIEW v AS SELECT id FROM orders", "hold", "definition"),
    ("ALTER TABLE orders DROP COLUMN total", "hold", "definition"),
    ("DROP TABLE orders", "hold", "definition"),
    ("TRUNCATE orders", "hold", "definition"),
    ("DROP TABLE orders CASCADE", "hold", "catalogue definition"),
    ("COMMENT ON TABLE orders IS 'x'", "hold", "definition"),
    ("DROP SCHEMA crm", "block", "never-dropped"),
    ("DROP DATABASE crm", "block", "never-dropped"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM orders RETURNING 1'", "block", "unbounded-delete"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'", "hold", "definition function-body"),
    ("CREATE RULE r AS ON INSERT TO orders DO INSTEAD DELETE FROM orders", "block", "unbounded-delete"),
    ("VACUUM orders", "hold", "maintenance"),
    ("ANALYZE", "hold", "maintenance"),
    ("CHECKPOINT", "block", "other-statement"),
    ("SELECT 1; CHECKPOINT", "block", "other-statement"),
    ("PREPARE TRANSACTION 'x'", "block", "other-statement"),
    ("COMMIT PREPARED 'x'", "block", "other-statement"),
]  # fmt: skip

OUTSIDE_WINDOW: list[Case] = [
    ("ALTER TABLE orders ADD COLUMN x int", "block", "outside-window"),
    ("DROP INDEX orders_total", "block", "outside-window"),
    ("TRUNCATE orders, customers", "block", "outside-window"),
    ("CREATE TABLE copied (id int)", "hold", "definition"),
    ("SELECT 1", "allow", "read"),
]

PRIVILEGES: list[Case] = [
    ("GRANT SELECT ON orders TO bob", "block", "privileges"),
    ("GRANT admins TO bob", "block", "privileges"),
    ("REVOKE ALL ON orders FROM bob", "block", "privileges"),
    ("CREATE ROLE bob SUPERUSER", "block", "privileges"),
    ("CREATE USER bob", "block", "privileges"),
    ("ALTER ROLE bob SUPERUSER", "block", "privileges"),
    ("ALTER USER bob SET search_path = x", "block", "lasting-setting privileges"),
    ("ALTER TABLE orders DISABLE TRIGGER ALL", "block", "privileges"),
    ("DROP OWNED BY bob", "block", "privileges"),
    ("CREATE SCHEMA s CREATE TABLE t (id int) GRANT ALL ON t TO public", "block", "privileges"),
    ("CREATE USER MAPPING FOR bob SERVER s", "block", "privileges"),
    ("DROP ROLE bob", "block", "privileges"),
    ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bob", "block", "privileges"),
    ("ALTER TABLE orders OWNER TO bob", "block", "privileges"),
    ("ALTER FUNCTION f() OWNER TO bob", "block", "privileges"),
    ("REASSIGN OWNED BY bob TO ann", "block", "privileges"),
    ("ALTER TABLE orders DISABLE ROW LEVEL SECURITY", "block", "privileges"),
    ("CREATE POLICY p ON orders USING (true)", "block", "privileges"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'", "block", "privileges"),
    ("ALTER FUNCTION f() SECURITY DEFINER", "block", "privileges"),
    ("SET ROLE admin", "block", "role setting"),
    ("""SET LOCAL "Role" TO admin""", "block", "role setting"),
    ("RESET ROLE", "block", "role setting"),
    ("SET SESSION AUTHORIZATION admin", "block", "role setting"),
    ("SELECT set_config('role', 'admin', false)", "block", "role setting"),
    ("SELECT id FROM orders WHERE pg_catalog.set_config('ROLE', $1, false) = 'x'", "block", "role setting"),
]  # fmt: skip

SETTINGS: list[Case] = [
    ("SET session_replication_role = replica", "block", "setting"),
    ("SET row_security = off", "block", "setting"),
    ("SET app.tenant = '7'", "block", "setting"),
    ("SET client_encoding = 'LATIN1'", "block", "setting"),
    ("SET NAMES 'SJIS'", "block", "setting"),
    ("SET standard_conforming_strings = off", "block", "setting"),
    ("RESET client_encoding", "block", "setting"),
    ("SELECT set_config('standard_conforming_strings', 'off', false)", "block", "setting"),
    ("SELECT set_config(name, 'off', false) FROM pg_settings", "block", "setting unread-setting"),
    ("SELECT set_config('ro' || 'le', 'admin', false)", "block", "setting unread-setting"),
    ("SELECT set_config('application_name', email, false) FROM customers WHERE id = 7", "block", "unread-setting"),
    ("SELECT set_config('application_name', (SELECT card FROM customers LIMIT 1), false)", "block", "unread-setting"),
    ("SELECT set_config('jit', 'off', card LIKE '4%') FROM customers WHERE id = 7", "block", "unread-setting"),
    ("SET TRANSACTION SNAPSHOT '1'", "block", "setting"),
    ("ALTER SYSTEM SET archive_command = 'id'", "block", "lasting-setting"),
    ("ALTER DATABASE crm SET role = 'admin'", "block", "lasting-setting"),
    ("UPDATE pg_settings SET setting = 'admin' WHERE name = 'role'", "block", "catalogue-write settings-view"),
]

REACHING: list[Case] = [
    ("COPY orders TO PROGRAM 'curl x'", "block", "copy-program"),
    ("COPY orders FROM PROGRAM 'id'", "block", "copy-program"),
    ("COPY orders TO '/tmp/x'", "block", "copy-file"),
    ("COPY orders FROM '/etc/passwd'", "block", "copy-file"),
    ("COPY (SELECT 1) TO PROGRAM 'sh'", "block", "copy-program"),
    ("SELECT pg_read_file('/etc/passwd')", "block", "dangerous-function"),
    ("SELECT pg_catalog.pg_read_binary_file('x')", "block", "dangerous-function"),
    ("""SELECT "pg_ls_dir"('.')""", "block", "dangerous-function"),
    ("SELECT * FROM pg_ls_waldir()", "block", "dangerous-function"),
    ("SELECT lo_import('/etc/passwd')", "block", "dangerous-function"),
    ("SELECT lo_export(1, '/tmp/x')", "block", "dangerous-function"),
    ("SELECT * FROM public.dblink('host=x', 'DROP') AS t(a int)", "block", "dangerous-function unknown-meaning"),
    ("SELECT pg_sleep(60)", "block", "dangerous-function"),
    ("SELECT id FROM orders WHERE id = 7 AND pg_sleep(60) IS NULL", "block", "dangerous-function"),
    ("SELECT query_to_xml('DELETE FROM orders', true, true, '')", "block", "dangerous-function unknown-meaning"),
    ("SELECT table_to_xml('customers', true, true, '')", "block", "dangerous-function unknown-meaning"),
    ("SELECT pg_reload_conf(), pg_rotate_logfile(), pg_switch_wal()", "block", "dangerous-function"),
    ("EXPLAIN SELECT pg_create_restore_point('x')", "block", "dangerous-function"),
    ("WITH x AS (SELECT pg_read_file('a') AS f) SELECT f FROM x", "block", "dangerous-function"),
    ("INSERT INTO orders (customer) SELECT pg_read_file('a')::int", "block", "dangerous-function"),
    ("SELECT pg_terminate_backend(7)", "hold", "ruling-function unknown-function"),
    ("SELECT pg_cancel_backend(pid) FROM pg_stat_activity", "hold", "others-activity ruling-function unknown-function"),
    ("CREATE EXTENSION dblink", "block", "server-code"),
    ("ALTER EXTENSION dblink UPDATE", "block", "server-code"),
    ("LOAD 'x'", "block", "library"),
    ("CREATE LANGUAGE plpython3u", "block", "server-code"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x', 'y'", "block", "language"),
    ("DO LANGUAGE plpython3u 'pass'", "block", "language unknown-meaning"),
    ("SELECT id FROM customers c WHERE (SELECT substr(c.card, 1, 1)) = '4'", "hold", "inference"),
    ("CREATE LANGUAGE mine HANDLER f", "block", "language"),
    ("IMPORT FOREIGN SCHEMA a FROM SERVER s INTO public", "block", "server-code"),
    ("CREATE FOREIGN TABLE t (a int) SERVER s", "block", "server-code"),
    ("CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw", "block", "server-code"),
    ("CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p", "block", "server-code"),
    ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()", "block", "server-code"),
]  # fmt: skip

CATALOGUES: list[Case] = [
    ("SELECT rolpassword FROM pg_authid", "block", "catalogue"),
    ("SELECT * FROM pg_catalog.pg_shadow", "block", "catalogue"),
    ("SELECT * FROM pg_user_mappings", "block", "catalogue"),
    ("SELECT * FROM pg_hba_file_rules", "block", "catalogue"),
    ("SELECT most_common_vals FROM pg_stats WHERE tablename = 'customers'", "block", "catalogue"),
    ("SELECT 1 WHERE EXISTS (SELECT FROM pg_catalog.pg_statistic)", "block", "catalogue"),
    ("COPY pg_largeobject TO STDOUT", "block", "catalogue"),
    ("TABLE pg_shadow", "block", "catalogue"),
    ("WITH x AS (TABLE pg_shadow) SELECT usename FROM x", "block", "catalogue"),
    ("SELECT option_value FROM information_schema.user_mapping_options", "block", "catalogue"),
    ("SELECT query FROM pg_stat_activity", "hold", "others-activity"),
    ("SELECT query FROM public.pg_stat_statements", "hold", "others-activity"),
    ("SELECT table_name FROM information_schema.tables", "allow", "read"),
    ("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'customers'", "allow", "read"),
    ("SELECT rolname, rolsuper FROM pg_roles", "allow", "read"),
]

GOVERNED: list[Case] = [
    ("SELECT email FROM customers", "hold", "mass-read"),
    ("SELECT email FROM public.customers WHERE true", "hold", "mass-read"),
    ("""SELECT "email" FROM "customers" LIMIT 1000""", "hold", "mass-read"),
    ("SELECT c.EMAIL FROM Customers AS c", "hold", "mass-read"),
    ("SELECT lower(email) FROM customers", "hold", "mass-read"),
    ("SELECT string_agg(email, ',') FROM customers LIMIT 1", "hold", "mass-read"),
    ("SELECT x FROM (SELECT email AS x FROM customers) s", "hold", "mass-read"),
    ("WITH s(x) AS (SELECT email FROM customers) SELECT x FROM s", "hold", "mass-read"),
    ("SELECT 1 AS a WHERE false UNION ALL SELECT email FROM customers", "hold", "mass-read"),
    ("SELECT (SELECT email FROM customers c WHERE c.id = o.customer) FROM orders o", "hold", "mass-read"),
    ("SELECT email FROM customers WHERE id = 7 UNION ALL SELECT email FROM customers", "hold", "mass-read"),
    ("SELECT email FROM customers LIMIT ALL", "hold", "mass-read"),
    ("SELECT email FROM customers LIMIT (SELECT 1000)", "hold", "mass-read"),
    ("COPY customers (email) TO STDOUT", "hold", "mass-read"),
    ("COPY (SELECT email FROM customers) TO STDOUT", "hold", "mass-read"),
    ("DECLARE c CURSOR FOR SELECT email FROM customers", "hold", "mass-read"),
    ("SELECT pay FROM hr.people", "hold", "mass-read"),
    ("SELECT ssn FROM anywhere", "hold", "mass-read"),
    ("SELECT * FROM customers WHERE id = 7", "block", "governed-star"),
    ("SELECT c.* FROM orders o JOIN customers c ON c.id = o.customer WHERE o.id = 7", "block", "governed-star"),
    ("SELECT c FROM customers c WHERE id = 7", "block", "governed-star"),
    ("SELECT row_to_json(c) FROM customers c WHERE id = 7", "block", "governed-star"),
    ("SELECT c FROM customers AS t(a, b, c) WHERE a = 7", "block", "governed-star"),
    ("SELECT b FROM (TABLE customers) AS t(a, b, c) WHERE a = 7", "block", "governed-star"),
    ("WITH t(a, b) AS (SELECT * FROM customers) SELECT b FROM t WHERE a = 7", "block", "governed-star"),
    ("SELECT email(c) FROM customers c WHERE id = 7", "block", "governed-star"),
    ("COPY customers TO STDOUT", "block", "governed-star"),
    ("TABLE customers", "block", "governed-star"),
    ("SELECT id FROM customers WHERE card LIKE '4%'", "hold", "inference"),
    ("SELECT count(*) FROM customers GROUP BY card", "hold", "inference"),
    ("SELECT id FROM customers ORDER BY card LIMIT 1", "hold", "inference"),
    ("SELECT o.id FROM orders o JOIN customers c ON c.card = o.note WHERE o.id = 7", "hold", "inference"),
    ("SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.note = c.card)", "hold", "inference"),
    ("SELECT rank() OVER (ORDER BY card) FROM customers WHERE id < 7", "hold", "inference"),
    ("SELECT count(*) FILTER (WHERE card LIKE '4%') FROM customers", "hold", "inference"),
    ("SELECT count(*) FROM customers HAVING max(card) > '5'", "hold", "inference"),
    ("SELECT id FROM customers WHERE row_to_json(customers) ->> 'card' LIKE '4%'", "hold", "inference"),
    ("WITH x AS (SELECT id, card AS k FROM customers) SELECT id FROM x ORDER BY k LIMIT 1", "hold", "inference"),
    ("EXPLAIN SELECT id FROM customers WHERE card < '5'", "hold", "inference"),
    ("SELECT id FROM customers WHERE email = 'a@example.com'", "allow", "read"),
    ("SELECT c.to_json FROM customers c WHERE id = 7", "block", "governed-star"),
    ("SELECT (c).row_to_json FROM customers c WHERE id = 7", "block", "governed-star"),
    ("SELECT crm.customers.json_agg FROM crm.customers WHERE id < 7", "block", "governed-star"),
    ("SELECT id FROM customers c WHERE c.to_json ->> 'card' LIKE '4%'", "hold", "inference"),
    ("SELECT s.mine FROM (SELECT email FROM customers WHERE id = 7) s", "hold", "mass-read unknown-function"),
    ("SELECT count(*) FROM customers c, generate_series(1, ascii(c.card)) g WHERE c.id = 7", "hold", "inference"),
    ("SELECT 1 FROM customers c, generate_series(1, ascii(c.card)) g WHERE c.id = 7", "hold", "inference"),
    ("SELECT 1 FROM orders LIMIT (SELECT ascii(c.card) FROM customers c LIMIT 1)", "hold", "inference mass-read"),
    ("SELECT 1 FROM orders OFFSET (SELECT ascii(c.card) FROM customers c LIMIT 1)", "hold", "inference mass-read"),
    ("SELECT 1, generate_series(1, ascii(card)) FROM customers WHERE id = 7", "hold", "inference"),
    ("SELECT count(*) FROM customers c, unnest(string_to_array(card, '4')) g WHERE c.id = 7", "hold", "inference"),
    ("SELECT (SELECT count(*) FROM (SELECT card INTERSECT SELECT '4') x) FROM customers LIMIT 1", "hold", "inference"),
    ("SELECT id FROM customers WHERE id = 7 EXCEPT SELECT ascii(card) FROM customers LIMIT 9", "hold", "inference"),
    ("SELECT card FROM customers WHERE id = 7 UNION SELECT '4'", "hold", "inference mass-read"),
    ("SELECT DISTINCT card FROM customers WHERE id < 7", "hold", "inference"),
    ("SELECT count(DISTINCT card) FROM customers WHERE id < 7", "hold", "inference"),
    ("SELECT sum(id) OVER (ROWS (SELECT max(card) FROM customers) PRECEDING) FROM a", "hold", "inference mass-read"),
    ("SELECT CASE WHEN card LIKE '4%' THEN 1 / 0 END FROM customers WHERE id = 7", "hold", "inference"),
    ("SELECT 1 / (ascii(card) - 52) FROM customers WHERE id = 7", "hold", "inference"),
    ("SELECT replace(left(card, 1), '4', 'x')::int FROM customers WHERE id = 7", "hold", "inference"),
    ("SELECT make_date(ascii(card), 1, 1) FROM customers WHERE id = 7", "hold", "inference"),
    ("SELECT json_build_object('card', card) FROM customers WHERE id = 7", "hold", "inference"),
    ("SELECT max(upper(card)) FROM customers WHERE id = 7", "hold", "inference"),
    ("SELECT card IS NULL FROM customers WHERE id = 7", "hold", "inference"),
    ("SELECT 'no. ' || card, card::text, concat(id, card), (SELECT card) FROM customers WHERE id = 7", "allow", "read"),
    ("SELECT doc->>'card' FROM customers WHERE id = 7 AND doc->>'city' = 'x'", "allow", "read"),
    ("SELECT 1 FROM customers WHERE doc->>'card' = '4'", "hold", "inference"),
    ("SELECT starts_with(card, '4') AND 1 / 0 = 1 FROM customers WHERE id = 7", "hold", "inference"),
    ("CREATE VIEW v AS SELECT email AS e FROM customers WHERE id < 7", "hold", "definition governed-copy"),
    ("CREATE TEMP TABLE t AS SELECT card AS x FROM customers WHERE id = 7", "hold", "definition governed-copy"),
    ("INSERT INTO notes (x) SELECT email FROM customers WHERE id = 7", "hold", "governed-copy write"),
    ("UPDATE customers SET name = email WHERE id = 7", "hold", "governed-copy write"),
    ("UPDATE customers SET email = lower(email) WHERE id = 7", "hold", "write"),
    (
        ("PREPARE p AS SELECT card FROM customers WHERE id = 7", "CREATE TEMP TABLE t AS EXECUTE p"),
        "hold",
        "definition governed-copy",
    ),
    ("INSERT INTO notes (x) VALUES ((SELECT card FROM customers WHERE id = 7))", "hold", "governed-copy write"),
    ("UPDATE notes SET x = c.card FROM customers c WHERE c.id = notes.id", "hold", "governed-copy write"),
    ("ALTER TABLE customers RENAME COLUMN email TO e", "hold", "definition governed-rename"),
    ("ALTER TABLE customers ALTER note TYPE text USING card", "hold", "definition governed-copy"),
    (
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT card FROM customers WHERE id = 7'",
        "hold",
        "definition governed-copy",
    ),
]  # fmt: skip

OUTSIDE_PRODUCTION: list[Case] = [
    ("SELECT 1", "allow", "read"),
    ("INSERT INTO orders (customer, total) VALUES (1, 2)", "allow", "write-nonproduction"),
    ("DELETE FROM orders WHERE id = 7", "allow", "write-nonproduction"),
    ("CREATE TABLE t (id int); DROP TABLE t CASCADE; TRUNCATE orders", "allow", "write-nonproduction"),
    ("SELECT close_account(7), 1 OPERATOR(crm.+) 1", "allow", "write-nonproduction"),
    ("ALTER SYSTEM SET archive_command = 'id'", "block", "lasting-setting"),
    ("SELECT email FROM customers", "allow", "read"),
    ("DELETE FROM orders", "hold", "unbounded-delete"),
    ("DO $$ BEGIN DELETE FROM orders; END $$", "hold", "dynamic-sql"),
    ("GRANT SELECT ON orders TO bob", "hold", "privileges"),
    ("CREATE VIEW v AS SELECT email AS e FROM customers", "hold", "governed-copy"),
    ("CREATE FUNCTION f(customers) RETURNS text LANGUAGE sql AS 'SELECT $1.email'", "hold", "governed-copy"),
    ("CREATE FUNCTION f(c customers) RETURNS text LANGUAGE sql AS 'SELECT c.email'", "hold", "governed-copy"),
    ("CREATE FUNCTION f(c customers) RETURNS text LANGUAGE sql AS 'SELECT f.c.email'", "hold", "governed-copy"),
    ("ALTER TABLE customers ALTER note TYPE text USING card", "hold", "governed-copy"),
    ("ALTER TABLE customers ALTER note TYPE text USING customers::text", "hold", "governed-copy"),
    ("ALTER TABLE customers ADD COLUMN g text GENERATED ALWAYS AS (card) STORED", "hold", "governed-copy"),
    ("ALTER TABLE customers ALTER g SET EXPRESSION AS (card)", "hold", "governed-copy"),
    ("ALTER TABLE customers ALTER email TYPE citext USING email::citext", "allow", "write-nonproduction"),
    ("ALTER TABLE customers ALTER note TYPE text USING id::text, ADD x int", "allow", "write-nonproduction"),
    ("ALTER TABLE customers ADD CHECK (card <> '')", "allow", "write-nonproduction"),
    ("INSERT INTO notes (x) SELECT (f(1)).email", "hold", "governed-copy unread-copy"),
    ("INSERT INTO notes (x) SELECT email_of(3)", "hold", "unread-copy"),
    ("INSERT INTO notes (x) VALUES (order_total(3))", "allow", "write-nonproduction"),
    ("INSERT INTO notes (id, x) VALUES (nextval('notes_id_seq'), 1)", "allow", "write-nonproduction"),
    ("SET ROLE admin", "block", "role setting"),
    ("COPY orders TO PROGRAM 'x'", "block", "copy-program"),
    ("SELECT pg_read_file('x')", "block", "dangerous-function"),
    ("TABLE pg_shadow", "block", "catalogue"),
    ("SELECT 1; CHECKPOINT", "block", "other-statement"),
]

OPENING: list[tuple[dict[str, str], str, str]] = [
    ({}, "allow", "connect"),
    ({"application_name": "psql", "extra_float_digits": "2"}, "allow", "connect"),
    ({"DateStyle": "ISO", "TimeZone": "UTC", "IntervalStyle": "postgres", "jit": "off"}, "allow", "connect"),
    (
        {"statement_timeout": "5s", "search_path": "crm, public", "default_transaction_read_only": "on"},
        "allow",
        "connect",
    ),
    ({"TimeZone": "UTC", "app.tenant": "5"}, "block", "setting"),
    ({"row_security": "off"}, "block", "setting"),
    ({"transform_null_equals": "on"}, "block", "setting"),
    ({"backslash_quote": "on"}, "block", "setting"),
    ({"session_replication_role": "replica"}, "block", "setting"),
    ({"Role": "admin"}, "block", "role setting"),
]
"""What a startup message sets."""

PREPARED: list[Case] = [
    ("SELECT id FROM orders WHERE id = $1", "allow", "read"),
    ("DELETE FROM orders WHERE id = $1", "allow", "write"),
    ("SELECT close_account($1)", "allow", "unknown-function"),
    ("SELECT email FROM customers LIMIT $1", "allow", "mass-read read"),
    ("DROP TABLE orders", "allow", "definition"),
    ("DELETE FROM orders", "block", "unbounded-delete"),
    ("SELECT pg_read_file($1)", "block", "dangerous-function"),
    ("GRANT SELECT ON orders TO bob", "block", "privileges"),
    ("SET ROLE admin", "block", "role setting"),
]

DRIVERS = {
    "sqlalchemy: whether a table is there": (
        "SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON"
        " pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE"
        " pg_catalog.pg_class.relname = $1::VARCHAR AND pg_catalog.pg_class.relkind ="
        " ANY (ARRAY['r', 'p', 'f', 'v', 'm']) AND"
        " pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid) AND pg_catalog.pg_namespace.nspname != 'pg_catalog'"
    ),
    "sqlalchemy: connecting": "select pg_catalog.version(); select current_schema(); show standard_conforming_strings",
    "asyncpg: types": (
        "WITH RECURSIVE typeinfo_tree(oid, ns, name, kind, basetype, elemtype, depth) AS (SELECT t.oid, ns.nspname,"
        " t.typname, t.typtype, t.typbasetype, t.typelem, 0 FROM pg_catalog.pg_type AS t INNER JOIN"
        " pg_catalog.pg_namespace AS ns ON (ns.oid = t.typnamespace) LEFT JOIN pg_range AS range_t ON"
        " (t.oid = range_t.rngtypid) WHERE t.oid = any($1::oid[]) UNION ALL SELECT t.oid, 'x', t.typname, t.typtype,"
        " t.typbasetype, t.typelem, tt.depth + 1 FROM pg_catalog.pg_type t, typeinfo_tree tt WHERE"
        " tt.elemtype = t.oid) SELECT DISTINCT *, basetype::regtype::text AS b FROM typeinfo_tree ORDER BY depth DESC"
    ),
    "asyncpg: jit": (
        "SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new"
    ),
    "jdbc: columns": (
        "SELECT * FROM (SELECT current_database() AS current_database, n.nspname, c.relname, a.attname, a.atttypid,"
        " a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull, a.atttypmod, a.attlen, t.typtypmod,"
        " row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum,"
        " pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc, dsc.description FROM pg_catalog.pg_namespace n JOIN"
        " pg_catalog.pg_class c ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (a.attrelid = c.oid) JOIN"
        " pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef def ON"
        " (a.attrelid = def.adrelid) LEFT JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid)"
        " WHERE a.attnum > 0) c WHERE true ORDER BY 2, 3"
    ),
    "jdbc: connecting": "SET extra_float_digits = 3; SET application_name = 'PostgreSQL JDBC Driver'",
    "jdbc: keys": (
        "SELECT result.COLUMN_NAME FROM (SELECT n.nspname AS TABLE_SCHEM, a.attname AS COLUMN_NAME,"
        " (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ FROM pg_catalog.pg_class ct JOIN"
        " pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_namespace n ON"
        " (ct.relnamespace = n.oid) JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid) WHERE i.indisprimary)"
        " result ORDER BY 1"
    ),
    "psycopg: hstore": (
        "SELECT typname AS name, oid, typarray AS array_oid, oid::regtype::text AS regtype, typdelim AS delimiter"
        " FROM pg_type t WHERE t.oid = to_regtype($1) ORDER BY t.oid"
    ),
    "pg_dump: settings": (
        "SET DATESTYLE = ISO; SET INTERVALSTYLE = POSTGRES; SET extra_float_digits TO 3;"
        " SET synchronize_seqscans TO off; SET statement_timeout = 0; SET lock_timeout = 0;"
        " SET idle_in_transaction_session_timeout = 0"
    ),
}  # fmt: skip
"""What drivers and tools ask of themselves; all of it is allowed in production."""

PSQL = [
    r"\d", r"\d orders", r"\d+ buyers", r"\dt+", r"\l", r"\du", r"\df email_of", r"\dn+", r"\di", r"\dv", r"\dx",
    r"\dp", r"\dT", r"\ds", r"\db", r"\dg", r"\dC", r"\do", r"\dD", r"\dL", r"\dRp", r"\sf email_of",
    r"\sv buyers",
]  # fmt: skip
"""psql's own questions."""
