// Package transport is what stores over HTTP have in common: how they connect, and which ways of writing none of them has.
package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
)

// MaxIdleConnections is how many connections to a store are kept for further use. Each costs a handshake to open.
const MaxIdleConnections = 64

// Roots are the certificates to trust: those of the system, and those of a bundle in PEM form. It is nil, which stands for
// those of the system, if the bundle is empty.
func Roots(bundle []byte) (*x509.CertPool, error) {
	if len(bundle) == 0 {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(bundle) {
		return nil, errors.New("cannot parse provided CA: the certificates of the location are not in PEM form")
	}
	return roots, nil
}

// Configure has each request of a transport that has a TLS configuration use a connection of its own, as HTTP/2 does not: a
// connection that is dead without either side knowing ends with the request that got stuck, and the next does not go the same
// way. And data takes as many ways as there are requests.
func Configure(t *http.Transport) {
	t.MaxIdleConns, t.MaxIdleConnsPerHost = MaxIdleConnections, MaxIdleConnections
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.TLSClientConfig.NextProtos = nil // a copied transport offers HTTP/2 here
}

// New is the transport of Go's HTTP client, made for one store that many requests go to at once.
func New(bundle []byte) (*http.Transport, error) {
	roots, err := Roots(bundle)
	if err != nil {
		return nil, err
	}
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("the default transport of HTTP has been replaced")
	}
	result := standard.Clone()
	result.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	Configure(result)
	return result, nil
}
