package config

const (
	defaultConcurrency = 1
	mebibytesPerGiB    = 1024
)

// Default returns the configuration that counts when there is no ConfigMap.
func Default() *Config {
	cfg := &Config{}
	cfg.SetDefaults()
	return cfg
}

// SetDefaults fills in what a checked configuration leaves open.
func (c *Config) SetDefaults() {
	if c.LoadConcurrency == nil {
		c.LoadConcurrency = &LoadConcurrency{}
	}
	if c.LoadConcurrency.GlobalConfig == 0 {
		c.LoadConcurrency.GlobalConfig = defaultConcurrency
	}
	if c.CachePVC != nil && c.CachePVC.ResidentThresholdInMB == 0 {
		c.CachePVC.ResidentThresholdInMB = c.CachePVC.ThresholdInGB * mebibytesPerGiB
	}
}
