package v1

import (
	"crypto/sha256"
	"encoding/hex"

	"k8s.io/apimachinery/pkg/util/validation"
)

// LabelValue makes a label value of a name as Velero does: a name of up to 63 characters is its own value, a longer
// one is cut to 57 characters and six hexadecimal digits of its SHA-256.
func LabelValue(name string) string {
	const hashLength = 6
	if len(name) <= validation.LabelValueMaxLength {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:validation.LabelValueMaxLength-hashLength] + hex.EncodeToString(sum[:])[:hashLength]
}
