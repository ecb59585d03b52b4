package text

import "regexp"

// Stores put signatures and keys into the query, and now and then into the user part, of the URLs that errors repeat.
var (
	urlQuery = regexp.MustCompile(`(\w+://[^\s?"'<>]+)\?[^\s"'<>]*`)
	urlUser  = regexp.MustCompile(`(\w+://)[^\s/@"'<>]+@`)
)

// WithoutSecrets takes out of the URLs in a text what may be secret: the query and the user part.
func WithoutSecrets(text string) string {
	return urlUser.ReplaceAllString(urlQuery.ReplaceAllString(text, "$1?..."), "$1...@")
}
