package location

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// WithMountedSecrets returns a client that finds Secrets in a directory instead of asking the API server, so that nobody has to
// allow it to read Secrets. Each Secret is a folder of its name, each key a file in it, whatever the namespace.
func WithMountedSecrets(c client.WithWatch, dir string) client.WithWatch {
	return mountedSecrets{WithWatch: c, dir: dir}
}

type mountedSecrets struct {
	client.WithWatch

	dir string
}

func (m mountedSecrets) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	secret, ok := obj.(*corev1.Secret)
	if !ok {
		return m.WithWatch.Get(ctx, key, obj, opts...)
	}
	// Keys are links, which the kubelet leads to the latest content.
	entries, err := os.ReadDir(filepath.Join(m.dir, key.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
	}
	if err != nil {
		return fmt.Errorf("read mounted secret: %w", err)
	}
	secret.Namespace, secret.Name, secret.Data = key.Namespace, key.Name, map[string][]byte{}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "..") {
			continue // the kubelet's own
		}
		content, err := os.ReadFile(filepath.Join(m.dir, key.Name, entry.Name()))
		if err != nil {
			return fmt.Errorf("read mounted secret: %w", err)
		}
		secret.Data[entry.Name()] = content
	}
	return nil
}
