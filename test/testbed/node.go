package main

import (
	"context"
	"fmt"
)

// nodePrograms are what makes a node of this machine, with the controllers that would run in pods elsewhere.
func (b *bed) nodePrograms() []program {
	kubeconfig := []string{"--kubeconfig", b.path("kubeconfig")}
	csi := b.path("kubelet", "plugins", "csi-hostpath", "csi.sock")
	refusing := b.path("kubelet", "plugins", "csi-hostpath", "refuser.sock")
	with := func(common []string, more ...string) []string { return append(append([]string{}, common...), more...) }
	return []program{
		{name: "containerd", args: []string{"--config", b.path("containerd", "config.toml")}},
		{name: "versitygw", args: []string{"--port", apiAddress + ":" + s3Port, "posix", b.path("s3")}, env: []string{
			"ROOT_ACCESS_KEY=testbed", "ROOT_SECRET_KEY=testbed-secret",
		}},
		{name: "kube-controller-manager", args: with(kubeconfig, "--leader-elect=false", "--use-service-account-credentials",
			"--service-account-private-key-file", b.path("pki", "service-accounts.key"), "--root-ca-file", b.path("pki", "apiserver.crt"))},
		{name: "kube-scheduler", args: with(kubeconfig, "--leader-elect=false")},
		{name: "hostpathplugin", args: []string{
			"--endpoint", "unix://" + csi, "--nodeid", node, "--statedir", b.path("csi"), "--enable-topology=false",
		}},
		{name: "registrar", file: b.path("bin", "registrar"), args: []string{
			"--driver", csiDriver, "--endpoint", csi, "--socket", b.path("kubelet", "plugins_registry", csiDriver+"-reg.sock"),
		}},
		{name: "refuser", file: b.path("bin", "refuser"), args: []string{"--driver", csi, "--socket", refusing}},
		{name: "csi-provisioner", args: with(kubeconfig, "--csi-address", refusing, "--retry-interval-max=5s")},
		{name: "csi-snapshotter", args: with(kubeconfig, "--csi-address", csi, "--feature-gates=CSIVolumeGroupSnapshot=false")},
		{name: "snapshot-controller", args: kubeconfig},
		{name: "kubelet", args: with(kubeconfig, "--config", b.path("kubelet.yaml"), "--root-dir", b.path("kubelet"),
			"--cert-dir", b.path("kubelet", "pki"), "--hostname-override", node, "--node-ip", apiAddress)},
	}
}

// buildPrograms builds those that are part of this module.
func (b *bed) buildPrograms(ctx context.Context) error {
	return command(ctx, "go", "build", "-trimpath", "-o", b.path("bin")+"/",
		"./test/testbed/pause", "./test/testbed/registrar", "./test/testbed/refuser", "./test/e2e/workload")
}

func (b *bed) startNode(ctx context.Context) error {
	if err := b.installSnapshotCRDs(ctx); err != nil {
		return err
	}
	for _, p := range b.nodePrograms() {
		if err := b.start(p); err != nil {
			return err
		}
	}
	return until(ctx, startTimeout, func() error {
		if err := b.kubectl(ctx, "wait", "--for=condition=Ready", "node/"+node, "--timeout=10s"); err != nil {
			return err
		}
		return b.kubectl(ctx, "wait", "--for=jsonpath={.spec.drivers[0].name}="+csiDriver, "csinode/"+node, "--timeout=10s")
	})
}

// programs are all, in the order in which they start.
func (b *bed) programs() []program { return append(b.controlPlane(), b.nodePrograms()...) }

func (b *bed) startOne(name string) error {
	for _, p := range b.programs() {
		if p.name == name {
			return b.start(p)
		}
	}
	return fmt.Errorf("there is no program %q", name)
}
