package app

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"
)

const (
	memoryLimitVariable = "GOMEMLIMIT"

	// memoryPercent of the container's memory is for Go's heap, the rest for what Go does not count.
	memoryPercent = 90
)

// Where the kernel shows a memory limit, below the root of the file system.
const (
	cgroupsOfProcess = "proc/self/cgroup"
	cgroupV1Root     = "sys/fs/cgroup/memory"
	cgroupV1File     = "memory.limit_in_bytes"
	cgroupV2Root     = "sys/fs/cgroup"
	cgroupV2File     = "memory.max"
)

// limitMemory lets Go collect garbage harder before the process would be killed for the memory limit of its container.
// The environment variable GOMEMLIMIT wins. root is the root of the file system.
func limitMemory(root fs.FS, log logrus.FieldLogger) {
	if os.Getenv(memoryLimitVariable) != "" {
		return
	}
	limit, found := cgroupMemoryLimit(root)
	if !found {
		return
	}
	soft := limit / 100 * memoryPercent
	debug.SetMemoryLimit(soft)
	log.WithFields(logrus.Fields{"cgroupBytes": limit, "softBytes": soft}).Debug("Set a soft memory limit")
}

// cgroupMemoryLimit returns the lowest memory limit of the cgroups that the process is in, and false if there is none.
func cgroupMemoryLimit(root fs.FS) (int64, bool) {
	cgroups, err := fs.ReadFile(root, cgroupsOfProcess)
	if err != nil {
		return 0, false
	}
	lowest := int64(math.MaxInt64)
	for line := range strings.Lines(string(cgroups)) {
		// hierarchy-ID:controller-list:cgroup-path; version 2 has ID 0 and no controllers.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) != 3:
		case parts[0] == "0" && parts[1] == "":
			lowest = min(lowest, lowestLimit(root, cgroupV2Root, parts[2], cgroupV2File))
		case slices.Contains(strings.Split(parts[1], ","), "memory"):
			lowest = min(lowest, lowestLimit(root, cgroupV1Root, parts[2], cgroupV1File))
		}
	}
	return lowest, lowest < math.MaxInt64
}

// lowestLimit looks at a cgroup and all above it. In a container the path may be that of the node, which is not visible;
// the container's own cgroup is then the root.
func lowestLimit(root fs.FS, mount, cgroup, file string) int64 {
	lowest := int64(math.MaxInt64)
	for dir := path.Clean("/" + cgroup); ; dir = path.Dir(dir) {
		lowest = min(lowest, readLimit(root, path.Join(mount, dir, file)))
		if dir == "/" {
			return lowest
		}
	}
}

// readLimit returns math.MaxInt64 if there is no limit. Version 1 says so with a number close to it, version 2 with a word.
func readLimit(root fs.FS, name string) int64 {
	const unlimited = math.MaxInt64 >> 12
	content, err := fs.ReadFile(root, name)
	if err != nil {
		return math.MaxInt64
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	if err != nil || limit <= 0 || limit > unlimited {
		return math.MaxInt64
	}
	return limit
}
