package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// headerTimeout bounds how long a client may take to ask, shutdownTimeout how long an answer may take at the end.
const (
	headerTimeout   = 10 * time.Second
	shutdownTimeout = 2 * time.Second
)

func serveMetrics(ctx context.Context, options Options) error {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{}))
	return serve(ctx, "metrics", options.MetricsAddress, mux)
}

// serveHealth serves /healthz, which fails for a leader that is stuck, and /readyz, which succeeds once the configuration
// is known to be good, as long as agents work.
func serveHealth(ctx context.Context, options Options, healthy, ready healthz.Checker) error {
	mux := http.NewServeMux()
	mux.Handle("/healthz", healthz.CheckHandler{Checker: healthy})
	mux.Handle("/readyz", healthz.CheckHandler{Checker: ready})
	return serve(ctx, "health", options.HealthAddress, mux)
}

func serve(ctx context.Context, name, address string, handler http.Handler) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listening on the %s address: %w", name, err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout}
	stop := context.AfterFunc(ctx, func() {
		shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		_ = server.Shutdown(shutdown) // the process ends anyway
	})
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving %s: %w", name, err)
	}
	return nil
}
