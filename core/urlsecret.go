package core

import "strings"

// IsTokenParameter reports whether a parameter of a URL's query, by its name,
// carries a token. GitLab has private_token, job_token and access_token
// (docs.gitlab.com/api/rest/authentication), Gitea token and access_token
// (docs.gitea.com/development/api-usage), Bitbucket access_token (that of OAuth,
// RFC 6750 section 2.3), GitHub's raw files have token; the other names are what
// many servers have. Capitals, "_" and "-" do not count.
func IsTokenParameter(name string) bool {
	var room [longestName]byte
	letters, n := lettersOf(name, &room)
	return n == len(name) && isToken(string(letters))
}

func isToken(letters string) bool {
	switch letters {
	case "privatetoken", "jobtoken", "accesstoken", "authtoken", "oauthtoken", "token", "apikey":
		return true
	}
	return false
}

// isSignature reports whether a parameter belongs to what proves a right to one
// URL: Azure's shared access signatures, CloudFront's, Amazon S3's and Google's.
func isSignature(letters string) bool {
	switch letters {
	case "sig", "signature", "xamzsignature", "xamzcredential", "xamzsecuritytoken", "xgoogsignature", "xgoogcredential":
		return true
	}
	return false
}

// longestName is how many letters a name may have that is of interest.
const longestName = 20

// HideParameters hides the tokens and signatures in the queries of the URLs that
// a text holds. What begins a parameter may be written as in a URL within a URL, or
// as in JSON.
func HideParameters(text string) string {
	var b strings.Builder
	done := 0
	for at := 0; ; {
		i := strings.IndexAny(text[at:], `?&;#%\`)
		if i < 0 {
			break
		}
		at += i
		n := separator(text[at:])
		if at += max(n, 1); n == 0 {
			continue
		}
		value := at + valueOf(text[at:])
		end := value
		for end < len(text) && !strings.ContainsRune("&;# \t\n\f\r'\"<>\\", rune(text[end])) {
			end++
		}
		if value > at && end > value {
			b.WriteString(text[done:value])
			b.WriteString(redacted)
			done, at = end, end
		}
	}
	if done == 0 {
		return text
	}
	return b.String() + text[done:]
}

// separator is the length of what a text begins with if that stands before a
// parameter, or 0.
func separator(text string) int {
	switch text[0] {
	case '%':
		if len(text) < 3 {
			return 0
		}
		switch text[1:3] {
		case "3f", "3F", "26", "3b", "3B", "23":
			return 3
		}
		return 0
	case '\\':
		const and = `\u0026`
		if strings.HasPrefix(text, and) {
			return len(and)
		}
		return 0
	}
	return 1
}

// valueOf is where the value of the parameter stands that a text begins with, or
// 0 when that is none to be hidden.
func valueOf(text string) int {
	var room [longestName]byte
	letters, n := lettersOf(text, &room)
	switch rest := text[n:]; {
	case !isToken(string(letters)) && !isSignature(string(letters)):
		return 0
	case strings.HasPrefix(rest, "="):
		return n + 1
	case strings.HasPrefix(rest, "%3d"), strings.HasPrefix(rest, "%3D"):
		return n + 3
	}
	return 0
}

// lettersOf gives the letters of the name that a text begins with, in lower case,
// and how long the name is there.
func lettersOf(text string, room *[longestName]byte) (letters []byte, length int) {
	letters = room[:0]
	for i := 0; i < len(text); {
		c := text[i] | 0x20
		switch {
		case text[i] == '_', text[i] == '-':
			i++
		case c >= 'a' && c <= 'z' && len(letters) < longestName:
			letters = append(letters, c)
			i++
		case text[i] == '%' && len(text)-i >= 3 && (strings.EqualFold(text[i+1:i+3], "5f") || strings.EqualFold(text[i+1:i+3], "2d")):
			i += 3
		default:
			return letters, i
		}
	}
	return letters, len(text)
}
