// Sends a mail through jwt-mailer with Go's standard library alone.
//
//	JWT_MAILER_URL=http://localhost:8080 JWT_MAILER_SECRET=... go run send.go ADDRESS ACCESS_KEY LINK_URL LINK_TOKEN
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// mint signs the claims of a mail. The jti makes every try with this token the same mail.
func mint(claims map[string]any, secret string) string {
	id, now := make([]byte, 16), time.Now().Unix()
	rand.Read(id)
	claims["jti"], claims["iat"], claims["exp"] = hex.EncodeToString(id), now, now+86400
	payload, _ := json.Marshal(claims)
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(payload)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

// send tries three times where no answer came or the service says "not now", and returns the answer.
func send(url, kind, token string) (answer string, accepted bool) {
	client := http.Client{Timeout: 30 * time.Second}
	body, _ := json.Marshal(map[string]string{"token": token})
	for try := 1; ; try++ {
		response, err := client.Post(strings.TrimRight(url, "/")+"/emailservice/"+kind, "application/json", bytes.NewReader(body))
		if err == nil {
			text, _ := io.ReadAll(io.LimitReader(response.Body, 65536))
			response.Body.Close()
			answer, accepted = string(text), response.StatusCode < 300
		} else {
			answer = "no answer"
		}
		if accepted || try == 3 || (err == nil && response.StatusCode < 500) {
			return answer, accepted
		}
		time.Sleep(time.Duration(try) * time.Second)
	}
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: send ADDRESS ACCESS_KEY LINK_URL LINK_TOKEN")
		os.Exit(2)
	}
	claims := map[string]any{"user_email": os.Args[1], "user_aut_key": os.Args[2], "email_link_url": os.Args[3], "email_link_token": os.Args[4]}
	answer, accepted := send(os.Getenv("JWT_MAILER_URL"), "confirmation", mint(claims, os.Getenv("JWT_MAILER_SECRET")))
	fmt.Println(answer)
	if !accepted {
		os.Exit(1)
	}
}
