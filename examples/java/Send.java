// Sends a mail through jwt-mailer with Java 17 alone.
//
//   JWT_MAILER_URL=http://localhost:8080 JWT_MAILER_SECRET=... java Send.java ADDRESS ACCESS_KEY LINK_URL LINK_TOKEN

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Send {
    /** Signs the claims of a mail. The jti makes every try with this token the same mail. */
    static String mint(Map<String, Object> claims, String secret) throws GeneralSecurityException {
        long now = Instant.now().getEpochSecond();
        var all = new TreeMap<>(claims);
        all.putAll(Map.of("jti", UUID.randomUUID().toString(), "iat", now, "exp", now + 86_400));
        var signed = encode(bytes("{\"alg\":\"HS256\",\"typ\":\"JWT\"}")) + "." + encode(bytes(json(all)));
        var mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(bytes(secret), "HmacSHA256"));
        return signed + "." + encode(mac.doFinal(bytes(signed)));
    }

    /** Tries three times where no answer came or the service says "not now". Null without an answer. */
    static HttpResponse<String> send(String url, String kind, String token) throws InterruptedException {
        var client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();
        var request = HttpRequest.newBuilder(URI.create(url.replaceAll("/+$", "") + "/emailservice/" + kind))
            .header("Content-Type", "application/json").timeout(Duration.ofSeconds(30))
            .POST(HttpRequest.BodyPublishers.ofString(json(Map.of("token", token)))).build();
        for (int attempt = 1; ; attempt++) {
            HttpResponse<String> answer = null;
            try {
                answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            } catch (IOException noAnswer) {
                // tried again below
            }
            if (attempt == 3 || (answer != null && answer.statusCode() < 500)) return answer;
            Thread.sleep(attempt * 1000L);
        }
    }

    /** Java has no JSON of its own; where your app has a library for it, use that. */
    static String json(Map<String, Object> fields) {
        return fields.entrySet().stream().map(field -> quote(field.getKey()) + ":"
            + (field.getValue() instanceof Number ? field.getValue() : quote((String) field.getValue())))
            .collect(Collectors.joining(",", "{", "}"));
    }

    static String quote(String text) {
        return text.chars().mapToObj(c -> c < ' ' || c == '"' || c == '\\' ? String.format("\\u%04x", c) : String.valueOf((char) c))
            .collect(Collectors.joining("", "\"", "\""));
    }

    static String encode(byte[] bytes) { return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes); }

    static byte[] bytes(String text) { return text.getBytes(StandardCharsets.UTF_8); }

    public static void main(String[] words) throws Exception {
        if (words.length != 4) {
            System.err.println("usage: Send.java ADDRESS ACCESS_KEY LINK_URL LINK_TOKEN");
            System.exit(2);
        }
        var token = mint(Map.of("user_email", words[0], "user_aut_key", words[1], "email_link_url", words[2],
            "email_link_token", words[3]), System.getenv("JWT_MAILER_SECRET"));
        var answer = send(System.getenv("JWT_MAILER_URL"), "confirmation", token);
        System.out.println(answer == null ? "no answer" : answer.body());
        System.exit(answer != null && answer.statusCode() < 300 ? 0 : 1);
    }
}
