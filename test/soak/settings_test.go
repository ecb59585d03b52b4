package soak

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// Without settings, a sample runs: as many DataUploads as begin within sampleTime.
const (
	sampleUploads = 1000
	sampleTime    = 30 * time.Second
)

// settings say how long the soak is: it begins uploads until there were so many or so much time has passed.
type settings struct {
	uploads int
	time    time.Duration
}

// settingsFromEnvironment reads SOAK, a number of DataUploads, and SOAKTIME, a duration. SOAK alone has no time limit.
func settingsFromEnvironment() (settings, error) {
	s := settings{uploads: sampleUploads, time: sampleTime}
	if text := os.Getenv("SOAK"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return s, fmt.Errorf("SOAK is %q, expected a number of DataUploads", text)
		}
		s = settings{uploads: n, time: 24 * time.Hour}
	}
	if text := os.Getenv("SOAKTIME"); text != "" {
		limit, err := time.ParseDuration(text)
		if err != nil {
			return s, fmt.Errorf("SOAKTIME: %w", err)
		}
		s.time = limit
	}
	return s, nil
}

// seedFromEnvironment reads SOAKSEED, or draws one.
func seedFromEnvironment() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("SOAKSEED"), 10, 64); err == nil {
		return n
	}
	return uint64(time.Now().UnixNano()) % 1_000_000
}
