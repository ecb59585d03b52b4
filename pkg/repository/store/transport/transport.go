// Package transport makes the connections to stores.
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
	result.MaxIdleConns, result.MaxIdleConnsPerHost = MaxIdleConnections, MaxIdleConnections
	result.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	return result, nil
}
