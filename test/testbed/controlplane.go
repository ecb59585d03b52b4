package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"time"
)

const (
	etcdURL      = "http://127.0.0.1:23790"
	etcdPeer     = "http://127.0.0.1:23800"
	rsaBits      = 2048
	startTimeout = 2 * time.Minute
)

// controlPlane are the programs that make an API server; they start in this order and stop in the opposite one.
func (b *bed) controlPlane() []program {
	return []program{
		{name: "etcd", args: []string{
			"--data-dir", b.path("etcd"), "--unsafe-no-fsync", "--listen-client-urls", etcdURL, "--advertise-client-urls", etcdURL,
			"--listen-peer-urls", etcdPeer, "--initial-advertise-peer-urls", etcdPeer, "--initial-cluster", "default=" + etcdPeer,
		}},
		{name: "kube-apiserver", args: []string{
			"--etcd-servers", etcdURL, "--cert-dir", b.path("pki"), "--bind-address", apiAddress, "--advertise-address", apiAddress,
			"--secure-port", "443", "--service-cluster-ip-range", services, "--authorization-mode", "RBAC",
			"--kubelet-preferred-address-types", "InternalIP", "--token-auth-file", b.path("pki", "tokens"), "--allow-privileged",
			"--service-account-issuer", "https://" + apiAddress,
			"--service-account-key-file", b.path("pki", "service-accounts.key"),
			"--service-account-signing-key-file", b.path("pki", "service-accounts.key"),
		}},
	}
}

func (b *bed) startControlPlane(ctx context.Context) error {
	for _, p := range b.controlPlane() {
		if err := b.start(p); err != nil {
			return err
		}
	}
	return until(ctx, startTimeout, func() error { return b.kubectl(ctx, "get", "--raw", "/readyz") })
}

// writeServiceAccountKey makes the key that signs the tokens of pods, unless there is one.
func (b *bed) writeServiceAccountKey() error {
	path := b.path("pki", "service-accounts.key")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return os.WriteFile(path, pem.EncodeToMemory(block), 0o600)
}
