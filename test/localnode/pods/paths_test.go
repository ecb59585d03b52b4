package pods

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
)

var _ = DescribeTable("Arguments are rewritten",
	func(argument, expected string) {
		paths, err := localPaths(corev1.Container{
			VolumeMounts: []corev1.VolumeMount{
				{Name: "data", MountPath: "/data/"},
				{Name: "nested", MountPath: "/data/inner", SubPath: "sub"},
			},
			VolumeDevices: []corev1.VolumeDevice{{Name: "disk", DevicePath: "/dev/xvda"}},
		}, map[string]string{"data": "/local/data", "nested": "/local/nested", "disk": "/local/disk"})
		Expect(err).NotTo(HaveOccurred())
		Expect(paths.rewriteArgument(argument)).To(Equal(expected))
	},
	Entry("a mount path", "/data", "/local/data"),
	Entry("a path below it", "/data/a/b", "/local/data/a/b"),
	Entry("the value of a flag", "--volume-path=/data/a", "--volume-path=/local/data/a"),
	Entry("a device", "--volume-path=/dev/xvda", "--volume-path=/local/disk"),
	Entry("the innermost mount wins", "/data/inner/x", "/local/nested/sub/x"),
	Entry("not a path that only begins alike", "/database", "/database"),
	Entry("not a path in the middle", "--x=a=/data", "--x=a=/data"),
	Entry("not an assignment that is no flag", "x=/data", "x=/data"),
	Entry("not another path", "/etc", "/etc"),
)

var _ = Describe("A mount", func() {
	It("of a volume that the pod does not have is an error", func() {
		_, err := localPaths(corev1.Container{VolumeMounts: []corev1.VolumeMount{{Name: "none", MountPath: "/x"}}}, nil)
		Expect(err).To(MatchError(ContainSubstring(`volume "none" of mount /x not found`)))
	})
})
