// Does tests/support/sql_work.py's work with PostgreSQL's JDBC driver.
//
// Run as `java -cp pgjdbc.jar JdbcClient.java`: reads {"url", "cases": {name: steps}} from standard input, writes
// {name: results}. The JDK has no JSON of its own; Json below is as much as this needs.

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.sql.*;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.format.DateTimeFormatter;
import java.util.*;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class JdbcClient {
    static final int SECONDS = 30; // for what does not come
    static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss[.SSS]X");

    public static void main(String[] arguments) throws Exception {
        Map<String, Object> job = map(new Json(new String(System.in.readAllBytes(), StandardCharsets.UTF_8)).value());
        Map<String, Object> results = new LinkedHashMap<>();
        for (Map.Entry<String, Object> one : map(job.get("cases")).entrySet()) {
            List<Object> found = new ArrayList<>();
            try (Connection connection = DriverManager.getConnection((String) job.get("url"))) {
                for (Object step : list(one.getValue())) found.add(take(connection, map(step)));
            } catch (Exception failure) {
                found.add(Map.of("broken", failure.toString()));
            }
            results.put(one.getKey(), found);
        }
        new PrintStream(System.out, true, StandardCharsets.UTF_8).print(Json.text(results));
    }

    /** One step; an error of the server is a result. */
    static Object take(Connection connection, Map<String, Object> step) throws Exception {
        try {
            return done(connection, step);
        } catch (PSQLException refused) {
            return error(refused);
        } catch (BatchUpdateException refused) {
            return error((PSQLException) refused.getNextException());
        }
    }

    static Object done(Connection connection, Map<String, Object> step) throws Exception {
        String sql = (String) step.get("sql");
        switch ((String) step.get("do")) {
            case "query": {
                try (Statement statement = connection.createStatement()) {
                    List<Object> found = new ArrayList<>();
                    boolean rows = statement.execute(sql);
                    while (rows || statement.getUpdateCount() >= 0) {
                        found.add(answer(statement, rows));
                        rows = statement.getMoreResults();
                    }
                    return found.size() == 1 ? found.get(0) : Map.of("results", found);
                }
            }
            case "execute": {
                try (PreparedStatement statement = connection.prepareStatement(marked(sql))) {
                    bind(connection, statement, list(step.get("values")));
                    return answer(statement, statement.execute());
                }
            }
            case "prepared": {
                // From its fifth execution on the driver keeps the statement on the server under a name.
                List<Object> found = new ArrayList<>();
                try (PreparedStatement statement = connection.prepareStatement(marked(sql))) {
                    for (Object values : list(step.get("values"))) {
                        bind(connection, statement, list(values));
                        found.add(answer(statement, statement.execute()));
                    }
                }
                return Map.of("results", found);
            }
            case "many": {
                try (PreparedStatement statement = connection.prepareStatement(marked(sql))) {
                    for (Object values : list(step.get("values"))) {
                        bind(connection, statement, list(values));
                        statement.addBatch();
                    }
                    return Map.of("count", Arrays.stream(statement.executeBatch()).sum());
                }
            }
            case "transaction": {
                List<Object> found = new ArrayList<>();
                connection.setAutoCommit(false);
                for (Object inner : list(step.get("steps"))) found.add(take(connection, map(inner)));
                if ((Boolean) step.get("commit")) connection.commit(); else connection.rollback();
                connection.setAutoCommit(true);
                return Map.of("results", found);
            }
            case "copy_in": {
                byte[] data = ((String) step.get("data")).getBytes(StandardCharsets.UTF_8);
                PGConnection ours = connection.unwrap(PGConnection.class);
                return Map.of("count", ours.getCopyAPI().copyIn(sql, new ByteArrayInputStream(data)));
            }
            case "copy_out": {
                ByteArrayOutputStream sink = new ByteArrayOutputStream();
                connection.unwrap(PGConnection.class).getCopyAPI().copyOut(sql, sink);
                return Map.of("data", sink.toString(StandardCharsets.UTF_8));
            }
            case "large":
                return large(connection, sql, 0);
            case "cursor": {
                // Only in a transaction does the driver fetch in pieces: a portal, executed with a limit.
                connection.setAutoCommit(false);
                Object found = large(connection, sql, ((Long) step.get("size")).intValue());
                connection.commit();
                connection.setAutoCommit(true);
                return found;
            }
            case "cancel": {
                try (Statement statement = connection.createStatement()) {
                    CompletableFuture<Object> running = CompletableFuture.supplyAsync(() -> {
                        try {
                            return answer(statement, statement.execute(sql));
                        } catch (SQLException refused) {
                            return error((PSQLException) refused);
                        }
                    });
                    // A notice can be read while the statement runs, and nobody calls us about it.
                    while (statement.getWarnings() == null && !running.isDone()) Thread.onSpinWait();
                    statement.cancel();
                    return running.get(SECONDS, TimeUnit.SECONDS);
                }
            }
            case "notices": {
                List<Object> found = new ArrayList<>();
                try (Statement statement = connection.createStatement()) {
                    statement.execute(sql);
                    for (SQLWarning said = statement.getWarnings(); said != null; said = said.getNextWarning()) {
                        ServerErrorMessage whole = ((org.postgresql.util.PSQLWarning) said).getServerErrorMessage();
                        found.add(List.of(whole.getSeverity(), whole.getMessage()));
                    }
                }
                return Map.of("notices", found);
            }
            case "listen": {
                try (Statement statement = connection.createStatement();
                        PreparedStatement notify = connection.prepareStatement("SELECT pg_notify(?, ?)")) {
                    statement.execute("LISTEN \"" + step.get("channel") + "\"");
                    notify.setString(1, (String) step.get("channel"));
                    notify.setString(2, (String) step.get("payload"));
                    notify.execute();
                }
                List<Object> found = new ArrayList<>();
                for (PGNotification one : connection.unwrap(PGConnection.class).getNotifications(SECONDS * 1000)) {
                    found.add(List.of(one.getName(), one.getParameter()));
                }
                return Map.of("notifications", found);
            }
            default:
                throw new IllegalArgumentException("no step " + step.get("do"));
        }
    }

    /** $1 as JDBC writes it: the cases have them in order. */
    static String marked(String sql) {
        return sql.replaceAll("\\$\\d", "?");
    }

    static void bind(Connection connection, PreparedStatement statement, List<Object> pairs) throws SQLException {
        for (int i = 0; i < pairs.size(); i++) {
            String kind = (String) list(pairs.get(i)).get(0), text = (String) list(pairs.get(i)).get(1);
            statement.setObject(i + 1, text == null ? null : nativeOf(connection, kind, text));
        }
    }

    static Object nativeOf(Connection connection, String kind, String text) throws SQLException {
        Stream<String> items = Arrays.stream(text.replaceAll("[{}]", "").split(",")).map(s -> s.equals("NULL") ? null : s);
        switch (kind) {
            case "int": return Integer.valueOf(text);
            case "bigint": return Long.valueOf(text);
            case "float": return Double.valueOf(text);
            case "bool": return text.equals("t");
            case "numeric": return new BigDecimal(text);
            case "bytea": return HexFormat.of().parseHex(text.substring(2));
            case "timestamptz": return OffsetDateTime.parse(text, TIME);
            case "date": return LocalDate.parse(text);
            case "uuid": return UUID.fromString(text);
            case "ints": return connection.createArrayOf("int4", items.map(s -> s == null ? null : Integer.valueOf(s)).toArray());
            case "texts": return connection.createArrayOf("text", items.toArray());
            default: return text;
        }
    }

    static Map<String, Object> answer(Statement statement, boolean rows) throws SQLException {
        if (!rows) return Map.of("count", Math.max(statement.getUpdateCount(), 0));
        List<Object> columns = new ArrayList<>(), found = new ArrayList<>();
        try (ResultSet result = statement.getResultSet()) {
            ResultSetMetaData about = result.getMetaData();
            for (int i = 1; i <= about.getColumnCount(); i++) columns.add(about.getColumnLabel(i));
            while (result.next()) {
                List<Object> row = new ArrayList<>();
                for (int i = 1; i <= columns.size(); i++) {
                    byte[] bytes = about.getColumnTypeName(i).equals("bytea") ? result.getBytes(i) : null;
                    row.add(bytes == null ? result.getString(i) : "\\x" + HexFormat.of().formatHex(bytes));
                }
                found.add(row);
            }
        }
        return Map.of("columns", columns, "rows", found);
    }

    static Object large(Connection connection, String sql, int size) throws Exception {
        MessageDigest hash = MessageDigest.getInstance("SHA-256");
        int count = 0;
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(size);
            try (ResultSet result = statement.executeQuery(sql)) {
                while (result.next()) {
                    hash.update(((count++ > 0 ? "\n" : "") + result.getString(1)).getBytes(StandardCharsets.UTF_8));
                }
            }
        }
        return Map.of("large", List.of(count, HexFormat.of().formatHex(hash.digest())));
    }

    static Object error(PSQLException refused) {
        ServerErrorMessage said = refused.getServerErrorMessage();
        if (said == null) return Map.of("broken", refused.toString());
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("code", refused.getSQLState());
        found.put("message", said.getMessage());
        found.put("detail", said.getDetail());
        found.put("hint", said.getHint());
        return Map.of("error", found);
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    static List<Object> list(Object value) {
        return (List<Object>) value;
    }

    /** A reader of well-formed JSON with whole numbers, and a writer. */
    static class Json {
        private final String text;
        private int at;

        Json(String text) {
            this.text = text;
        }

        Object value() {
            switch (peek()) {
                case '{': {
                    Map<String, Object> found = new LinkedHashMap<>();
                    for (at++; peek() != '}'; skip(',')) {
                        String key = string();
                        skip(':');
                        found.put(key, value());
                    }
                    at++;
                    return found;
                }
                case '[': {
                    List<Object> found = new ArrayList<>();
                    for (at++; peek() != ']'; skip(',')) found.add(value());
                    at++;
                    return found;
                }
                case '"': return string();
                default: {
                    int from = at;
                    while (at < text.length() && ",]} \n".indexOf(text.charAt(at)) < 0) at++;
                    String word = text.substring(from, at);
                    return word.equals("null") ? null : word.matches("true|false") ? (Object) word.equals("true") : Long.valueOf(word);
                }
            }
        }

        private String string() {
            StringBuilder found = new StringBuilder();
            peek();
            for (at++; text.charAt(at) != '"'; at++) {
                char c = text.charAt(at);
                if (c == '\\') {
                    c = text.charAt(++at);
                    if (c == 'u') {
                        c = (char) Integer.parseInt(text.substring(at + 1, at + 5), 16);
                        at += 4;
                    } else if ("bfnrt".indexOf(c) >= 0) {
                        c = "\b\f\n\r\t".charAt("bfnrt".indexOf(c));
                    }
                }
                found.append(c);
            }
            at++;
            return found.toString();
        }

        private char peek() {
            while (" \n".indexOf(text.charAt(at)) >= 0) at++;
            return text.charAt(at);
        }

        private void skip(char mark) {
            if (peek() == mark) at++;
        }

        static String text(Object value) {
            StringJoiner items;
            if (value instanceof Map) {
                items = new StringJoiner(",", "{", "}");
                map(value).forEach((key, inner) -> items.add(text(key) + ":" + text(inner)));
                return items.toString();
            } else if (value instanceof List) {
                items = new StringJoiner(",", "[", "]");
                for (Object inner : list(value)) items.add(text(inner));
                return items.toString();
            } else if (!(value instanceof String)) {
                return String.valueOf(value);
            }
            StringBuilder found = new StringBuilder("\"");
            for (char c : ((String) value).toCharArray()) {
                found.append(c < ' ' || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
            }
            return found.append('"').toString();
        }
    }
}
