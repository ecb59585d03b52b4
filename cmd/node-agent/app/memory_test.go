package app

import (
	"io"
	"math"
	"runtime/debug"
	"testing/fstest"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
)

// tree is a file system of the given files.
func tree(files map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for name, content := range files {
		root[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return root
}

var _ = Describe("The memory limit", func() {
	DescribeTable("is found in the cgroups",
		func(files map[string]string, want int) {
			limit, found := cgroupMemoryLimit(tree(files))
			Expect(found).To(BeTrue())
			Expect(limit).To(Equal(int64(want)))
		},
		Entry("of version 2, in a container", map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "536870912\n",
		}, 536870912),
		Entry("of version 2, with the path of the node", map[string]string{
			"proc/self/cgroup":         "0::/kubepods.slice/pod1/container1\n",
			"sys/fs/cgroup/memory.max": "536870912\n",
		}, 536870912),
		Entry("of version 2, of a service", map[string]string{
			"proc/self/cgroup": "0::/system.slice/a.service\n",
			"sys/fs/cgroup/system.slice/a.service/memory.max": "max\n",
			"sys/fs/cgroup/system.slice/memory.max":           "1000\n",
		}, 1000),
		Entry("of version 2, the lower of two", map[string]string{
			"proc/self/cgroup":                       "0::/pod/container\n",
			"sys/fs/cgroup/pod/memory.max":           "3000\n",
			"sys/fs/cgroup/pod/container/memory.max": "2000\n",
		}, 2000),
		Entry("of version 1, in a container", map[string]string{
			"proc/self/cgroup":                           "11:cpu,cpuacct:/pods/c1\n7:memory:/pods/c1\n1:name=systemd:/pods/c1\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
		}, 268435456),
		Entry("of version 1, on a node", map[string]string{
			"proc/self/cgroup": "7:hugetlb,memory:/user/a\n0::/\n",
			"sys/fs/cgroup/memory/user/a/memory.limit_in_bytes": "268435456\n",
			"sys/fs/cgroup/memory/user/memory.limit_in_bytes":   "9223372036854771712\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":        "9223372036854771712\n",
		}, 268435456),
	)

	DescribeTable("is not there",
		func(files map[string]string) {
			_, found := cgroupMemoryLimit(tree(files))
			Expect(found).To(BeFalse())
		},
		Entry("without cgroups", map[string]string{}),
		Entry("in version 2 without a limit", map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n",
		}),
		Entry("in version 2 at the root of a node", map[string]string{"proc/self/cgroup": "0::/\n"}),
		Entry("in version 1 without a limit", map[string]string{
			"proc/self/cgroup": "7:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}),
		Entry("in a file that is no number", map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "lots\n",
		}),
		Entry("in lines of another form", map[string]string{
			"proc/self/cgroup": "memory\n\n7:memory\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "100\n",
		}),
		Entry("where a path leads out", map[string]string{
			"proc/self/cgroup": "0::/../../..\n", "memory.max": "100\n",
		}),
	)

	It("becomes that of Go, to nine tenths", func() {
		DeferCleanup(debug.SetMemoryLimit, debug.SetMemoryLimit(-1))
		debug.SetMemoryLimit(math.MaxInt64)
		log := logrus.New()
		log.SetOutput(io.Discard)
		limitMemory(tree(map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1073741824\n"}), log)
		Expect(debug.SetMemoryLimit(-1)).To(Equal(int64(966367620)))
	})

	It("leaves GOMEMLIMIT alone", func() {
		DeferCleanup(debug.SetMemoryLimit, debug.SetMemoryLimit(-1))
		GinkgoT().Setenv("GOMEMLIMIT", "5GiB")
		debug.SetMemoryLimit(5 << 30)
		limitMemory(tree(map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1073741824\n"}), logrus.New())
		Expect(debug.SetMemoryLimit(-1)).To(Equal(int64(5 << 30)))
	})
})
