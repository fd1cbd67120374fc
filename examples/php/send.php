<?php
// Sends a mail through jwt-mailer with PHP 8 alone.
//
//   JWT_MAILER_URL=http://localhost:8080 JWT_MAILER_SECRET=... php send.php ADDRESS ACCESS_KEY LINK_URL LINK_TOKEN
declare(strict_types=1);

/** Signs the claims of a mail. The jti makes every try with this token the same mail. */
function mint(array $claims, string $secret): string
{
    $claims += ['jti' => bin2hex(random_bytes(16)), 'iat' => time(), 'exp' => time() + 86400];
    $encode = fn (string $bytes): string => rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    $signed = $encode('{"alg":"HS256","typ":"JWT"}') . '.' . $encode(json_encode($claims, JSON_THROW_ON_ERROR));
    return $signed . '.' . $encode(hash_hmac('sha256', $signed, $secret, true));
}

/** Tries three times where no answer came or the service says "not now". Returns the status, 0 without an answer, and the answer. */
function send(string $url, string $kind, string $token): array
{
    $http = ['method' => 'POST', 'header' => 'Content-Type: application/json', 'timeout' => 30, 'ignore_errors' => true,
        'follow_location' => 0, 'content' => json_encode(['token' => $token])];
    for ($try = 1;; $try++) {
        $http_response_header = [];
        $answer = @file_get_contents(rtrim($url, '/') . "/emailservice/$kind", false, stream_context_create(['http' => $http]));
        $status = (int) (explode(' ', $http_response_header[0] ?? '')[1] ?? 0);
        if ($try === 3 || ($status > 0 && $status < 500)) {
            return [$status, $answer === false ? 'no answer' : $answer];
        }
        sleep($try);
    }
}

if ($argc !== 5) {
    fwrite(STDERR, "usage: send.php ADDRESS ACCESS_KEY LINK_URL LINK_TOKEN\n");
    exit(2);
}
$claims = ['user_email' => $argv[1], 'user_aut_key' => $argv[2], 'email_link_url' => $argv[3], 'email_link_token' => $argv[4]];
[$status, $answer] = send((string) getenv('JWT_MAILER_URL'), 'confirmation', mint($claims, (string) getenv('JWT_MAILER_SECRET')));
echo $answer, "\n";
exit($status >= 200 && $status < 300 ? 0 : 1);
