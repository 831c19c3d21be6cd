package core

import (
	"regexp"
	"strings"
)

// The names of a query's parameters that hold a credential, as expressions.
//
// Those of a token are GitLab's private_token, job_token and access_token
// (docs.gitlab.com/api/rest/authentication), Gitea's token and access_token
// (docs.gitea.com/development/api-usage), Bitbucket's access_token (that of
// OAuth, RFC 6750 section 2.3) and the token of GitHub's raw files, beside the
// names that many other servers give it. Those of a signature are Azure's
// (shared access signatures), CloudFront's, Amazon S3's and Google's.
const (
	tokenNames     = `(?:private|job|access|auth|oauth)(?:[_-]|%5f|%2d)?token|token|api(?:[_-]|%5f|%2d)?key`
	signatureNames = `sig|signature|x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)`
)

var (
	tokenName = regexp.MustCompile(`^(?i:` + tokenNames + `)$`)
	// What begins a parameter may be written as in a URL within a URL, or as in
	// JSON.
	secretParameter = regexp.MustCompile(`(?i)([?&;#]|%3f|%26|%3b|%23|\\u0026)(` + tokenNames + `|` + signatureNames + `)(=|%3d)[^&;#\s'"<>\\]+`)
)

// IsTokenParameter reports whether a parameter of a URL's query, by its name,
// carries a token.
func IsTokenParameter(name string) bool { return tokenName.MatchString(name) }

// HideParameters hides the tokens and signatures in the queries of the URLs that
// a text holds.
func HideParameters(text string) string {
	if !mayHoldParameter(text) {
		return text
	}
	return secretParameter.ReplaceAllString(text, "${1}${2}${3}"+redacted)
}

// mayHoldParameter reports whether a text is worth being searched; most are not.
func mayHoldParameter(text string) bool {
	return (strings.Contains(text, "=") || strings.Contains(text, "%3")) && strings.ContainsAny(text, `?&;#%\`)
}
