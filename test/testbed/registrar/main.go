// Command registrar tells the kubelet about a CSI driver. Kubernetes' own node-driver-registrar is not to be had as a Go
// module.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"

	"google.golang.org/grpc"
	registerapi "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// registration answers the kubelet, which asks over each socket that it finds in its folder plugins_registry.
type registration struct {
	registerapi.UnimplementedRegistrationServer

	driver, endpoint string
}

func (r registration) GetInfo(context.Context, *registerapi.InfoRequest) (*registerapi.PluginInfo, error) {
	return &registerapi.PluginInfo{
		Type: registerapi.CSIPlugin, Name: r.driver, Endpoint: r.endpoint, SupportedVersions: []string{"1.0.0"},
	}, nil
}

func (r registration) NotifyRegistrationStatus(
	_ context.Context, status *registerapi.RegistrationStatus,
) (*registerapi.RegistrationStatusResponse, error) {
	fmt.Printf("registered %s: %t %s\n", r.driver, status.PluginRegistered, status.Error)
	return &registerapi.RegistrationStatusResponse{}, nil
}

func main() {
	driver := flag.String("driver", "", "name of the CSI driver")
	endpoint := flag.String("endpoint", "", "path of the driver's socket")
	socket := flag.String("socket", "", "path of the socket to serve, in the kubelet's plugins_registry")
	flag.Parse()
	if err := serve(*socket, registration{driver: *driver, endpoint: *endpoint}); err != nil {
		fmt.Fprintln(os.Stderr, "registrar:", err)
		os.Exit(1)
	}
}

func serve(socket string, answers registration) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	registerapi.RegisterRegistrationServer(server, answers)
	return server.Serve(listener)
}
