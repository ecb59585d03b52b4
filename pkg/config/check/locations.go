package check

import (
	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/location/settings"
)

// checkLocations names the settings of storage locations that have no effect on the data of volumes.
func (c *checker) checkLocations() {
	for _, location := range c.cluster.Locations {
		if _, err := settings.Provider(location.Spec); err != nil {
			c.add(Warning, problem.Problem{
				Message: "no data can be stored in backup storage location " + location.Name + ": " + err.Error(),
			})
		}
		for _, remark := range settings.WithoutEffect(location.Spec) {
			level := Warning
			if remark.Harmless {
				level = Note
			}
			c.add(level, problem.Problem{
				Message: "backup storage location " + location.Name + " has a setting with no effect on data: " + remark.String(),
			})
		}
	}
}
