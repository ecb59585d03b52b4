package config

import "strings"

// Download is what a configuration says about one DataDownload. As with a DataUpload, it is decided when that is accepted.
type Download struct {
	// Source names the ConfigMap and its version. Empty: there was none.
	Source string `json:"source,omitempty"`
	// IgnoreDelayBinding lets a restore begin before a pod uses the target PVC, although its class binds only then.
	IgnoreDelayBinding bool `json:"ignoreDelayBinding,omitempty"`
	// SecretNames and ConfigMapNames are what the driver needs for the restorePVC.
	SecretNames    []string `json:"secretNames,omitempty"`
	ConfigMapNames []string `json:"configMapNames,omitempty"`
	// CachePVC is nil if restores use no volume for their cache.
	CachePVC *CachePVC `json:"cachePVC,omitempty"`
	Pod
}

// ForDownload returns what counts for a DataDownload whose target PVC is of a storage class.
func (c *Config) ForDownload(targetClass string) Download {
	download := Download{Source: c.Source, CachePVC: c.CachePVC, Pod: c.pod(targetClass)}
	if c.RestorePVC != nil {
		download.IgnoreDelayBinding = c.RestorePVC.IgnoreDelayBinding
		download.SecretNames, download.ConfigMapNames = c.RestorePVC.SecretNames, c.RestorePVC.ConfigMapNames
	}
	return download
}

// Summary says in one line where the configuration is from and what it sets, for an Event.
func (d Download) Summary() string {
	class := ""
	if d.CachePVC != nil {
		class = d.CachePVC.StorageClass
	}
	return summary(d.Source, append([]string{
		flag("ignoreDelayBinding", d.IgnoreDelayBinding),
		named("secrets", strings.Join(d.SecretNames, " ")),
		named("configMaps", strings.Join(d.ConfigMapNames, " ")),
		named("cachePVC of class", class),
	}, d.settings()...))
}
