package route

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// proxyTimeout bounds how long a proxy takes to connect.
const proxyTimeout = time.Minute

// through asks a proxy for a connection to address.
func (r Route) through(ctx context.Context, proxy *url.URL, address string) (conn net.Conn, err error) {
	conn, err = r.DialContext(ctx, "tcp", net.JoinHostPort(proxy.Hostname(), portOf(proxy)))
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	if proxy.Scheme == "https" {
		roots, err := r.roots()
		if err != nil {
			return nil, err
		}
		conn = tls.Client(conn, &tls.Config{ServerName: proxy.Hostname(), RootCAs: roots, MinVersion: tls.VersionTLS12})
	}
	if err := conn.SetDeadline(time.Now().Add(proxyTimeout)); err != nil {
		return nil, err
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if proxy.User != nil {
		password, _ := proxy.User.Password()
		basic := http.Request{Header: http.Header{}}
		basic.SetBasicAuth(proxy.User.Username(), password)
		req.Header.Set("Proxy-Authorization", basic.Header.Get("Authorization"))
	}
	if err := req.Write(conn); err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	_ = resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return nil, ErrProxyAuth
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the proxy answers %q", resp.Status)
	case in.Buffered() > 0:
		return nil, fmt.Errorf("the proxy sends what nobody asked for")
	}
	return conn, conn.SetDeadline(time.Time{})
}
