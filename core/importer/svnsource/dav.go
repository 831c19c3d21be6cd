package svnsource

import (
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
)

// question asks a server for what svn info says of a directory.
const question = `<?xml version="1.0" encoding="utf-8"?>
<propfind xmlns="DAV:"><prop><version-name/><creationdate/><repository-uuid xmlns="http://subversion.tigris.org/xmlns/dav/"/><baseline-relative-path xmlns="http://subversion.tigris.org/xmlns/dav/"/></prop></propfind>
`

// properties is the part of the answer that matters.
type properties struct {
	Version []string `xml:"response>propstat>prop>version-name"`
	Date    []string `xml:"response>propstat>prop>creationdate"`
	UUID    []string `xml:"response>propstat>prop>repository-uuid"`
	Path    []string `xml:"response>propstat>prop>baseline-relative-path"`
}

// infoOverHTTP asks in this process: the client svn would follow a redirect to
// any address.
func (s *Source) infoOverHTTP(ctx context.Context) (info, error) {
	resp, err := s.propfind(ctx, "0", question)
	if err != nil {
		return info{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		return info{}, noSubversion()
	}
	if resp.StatusCode != http.StatusMultiStatus {
		return info{}, lsrefs.StatusError(resp)
	}
	return parseProperties(io.LimitReader(resp.Body, 1<<20))
}

// propfind asks one question of a server; whoever gets the answer closes it.
func (s *Source) propfind(ctx context.Context, depth, question string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, "PROPFIND", s.Access.URL, strings.NewReader(question))
	if err != nil {
		return nil, gitfail.New(core.FailSpec, gitfail.Upstream, "", "upstream: the url cannot be used")
	}
	req.Header.Set("Depth", depth)
	req.Header.Set("Content-Type", "text/xml")
	req.Header.Set("User-Agent", "SVN/lorry")
	if !s.Access.Secret.Empty() {
		req.SetBasicAuth(s.Access.Username, s.Access.Secret.Reveal())
	}
	transport := s.Route.Transport(s.Access.SkipCertificates)
	transport.DisableKeepAlives = true
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, lsrefs.ConnectionError(ctx, err)
	}
	return resp, nil
}

func parseProperties(r io.Reader) (info, error) {
	var p properties
	if err := xml.NewDecoder(r).Decode(&p); err != nil || len(p.Version) == 0 || len(p.UUID) == 0 {
		return info{}, noSubversion()
	}
	i := info{uuid: strings.TrimSpace(p.UUID[0]), revision: strings.TrimSpace(p.Version[0])}
	if i.uuid == "" || i.revision == "" {
		return info{}, noSubversion()
	}
	if len(p.Date) > 0 {
		i.date = strings.TrimSpace(p.Date[0])
	}
	if len(p.Path) > 0 {
		i.path = strings.Trim(p.Path[0], "/")
	}
	return i, nil
}

func noSubversion() error {
	return gitfail.New(core.FailNotGit, gitfail.Upstream, gitfail.Hint(core.FailNotGit, gitfail.Upstream), "upstream: the answer is not that of a Subversion repository")
}
