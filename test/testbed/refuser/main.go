// Command refuser stands between the provisioner and a CSI driver. It refuses what some drivers refuse, for storage classes that ask
// for it: a volume that many may read.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// refuse is the parameter of storage classes that asks for it, and readOnlyMany its value.
const (
	refuse       = "refuse"
	readOnlyMany = "ReadOnlyMany"
)

func main() {
	driver := flag.String("driver", "", "path of the driver's socket")
	socket := flag.String("socket", "", "path of the socket to serve")
	flag.Parse()
	if err := serve(*driver, *socket); err != nil {
		fmt.Fprintln(os.Stderr, "refuser:", err)
		os.Exit(1)
	}
}

func serve(driver, socket string) error {
	connection, err := grpc.NewClient("unix://"+driver, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
	if err != nil {
		return err
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "unix", socket)
	if err != nil {
		return err
	}
	pass := func(_ any, stream grpc.ServerStream) error { return passOn(connection, stream) }
	return grpc.NewServer(grpc.ForceServerCodecV2(raw{}), grpc.UnknownServiceHandler(pass)).Serve(listener)
}

// passOn hands a call to the driver, unless it is to be refused. All calls of CSI have one request and one answer.
func passOn(connection *grpc.ClientConn, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	var request, answer []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	if method == csi.Controller_CreateVolume_FullMethodName {
		if err := checkVolume(request); err != nil {
			return err
		}
	}
	if err := connection.Invoke(stream.Context(), method, &request, &answer); err != nil {
		return err
	}
	return stream.SendMsg(&answer)
}

func checkVolume(content []byte) error {
	request := &csi.CreateVolumeRequest{}
	if err := proto.Unmarshal(content, request); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	if request.GetParameters()[refuse] != readOnlyMany {
		return nil
	}
	for _, capability := range request.GetVolumeCapabilities() {
		if capability.GetAccessMode().GetMode() == csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY {
			return status.Error(codes.InvalidArgument, "access mode MULTI_NODE_READER_ONLY is not supported")
		}
	}
	return nil
}

// raw is the codec of messages that nobody looks into.
type raw struct{}

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*message.(*[]byte))}, nil //nolint:forcetypeassert // it is ours
}

func (raw) Unmarshal(content mem.BufferSlice, message any) error {
	*message.(*[]byte) = content.Materialize() //nolint:forcetypeassert // it is ours
	return nil
}

func (raw) Name() string { return "proto" }

var _ encoding.CodecV2 = raw{}
