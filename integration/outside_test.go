package integration

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

func hmacOf(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// hookMain is "hook FORGE URL SECRET EVENT FILE": it sends the file as that
// forge would, signed, and prints the status and the answer.
func hookMain(args []string) error {
	if len(args) != 5 {
		return errors.New("usage: hook FORGE URL SECRET EVENT FILE")
	}
	forge, address, secret, event := args[0], args[1], args[2], args[3]
	text, err := os.ReadFile(args[4])
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	switch forge {
	case "gitlab":
		req.Header.Set("X-Gitlab-Token", secret)
		req.Header.Set("X-Gitlab-Event", event)
	case "gitea":
		req.Header.Set("X-Gitea-Signature", hmacOf(secret, string(text)))
		req.Header.Set("X-Gitea-Event", event)
	case "github":
		req.Header.Set("X-Hub-Signature-256", "sha256="+hmacOf(secret, string(text)))
		req.Header.Set("X-GitHub-Event", event)
	case "plain":
		stamp := fmt.Sprint(time.Now().Unix())
		req.Header.Set("X-Lorry-Timestamp", stamp)
		req.Header.Set("X-Lorry-Signature-256", "sha256="+hmacOf(secret, stamp+"."+string(text)))
	default:
		return fmt.Errorf("no such forge: %s", forge)
	}
	answer, err := (&http.Client{Timeout: patience}).Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	fmt.Fprintf(os.Stdout, "%d %s\n", answer.StatusCode, body)
	return err
}

// inboxMain is "inbox ADDR FILE SECRET": a service that takes signed messages
// and appends them to a file, until it is ended.
func inboxMain(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: inbox ADDR FILE SECRET")
	}
	var mu sync.Mutex
	server := &http.Server{Addr: args[0], ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		right := "sha256=" + hmacOf(args[2], r.Header.Get("X-Lorry-Timestamp")+"."+string(body))
		if err != nil || r.Header.Get("X-Lorry-Signature-256") != right {
			http.Error(w, "wrong signature", http.StatusForbidden)
			return
		}
		f, err := os.OpenFile(args[1], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = fmt.Fprintf(f, "%s %s\n", r.Header.Get("X-Lorry-Delivery"), body)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})}
	return server.ListenAndServe()
}
