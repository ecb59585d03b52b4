// Package s3 is a store in a bucket that speaks S3. It takes the same client as Velero's plugin for AWS: what a server
// accepts from the plugin for the backups themselves, it accepts from here for the data of volumes.
package s3

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Addressing is where the name of the bucket stands in the address of an object.
type Addressing int

const (
	// AddressingAuto is AddressingHost at those stores that are known to want it (AWS, Google, Alibaba), else AddressingPath.
	AddressingAuto Addressing = iota
	// AddressingPath is https://HOST/BUCKET/KEY.
	AddressingPath
	// AddressingHost is https://BUCKET.HOST/KEY.
	AddressingHost
)

// Options say where a bucket is and how its objects are read and written.
type Options struct {
	// Bucket is the name of the bucket.
	Bucket string

	// Prefix stands before the name of each blob.
	Prefix string

	// Region is the one that requests are signed for. If empty, it is found out.
	Region string

	// Endpoint is the URL of the server, without a path. If empty, it is that of AWS for the region.
	Endpoint string

	// Addressing is how objects are addressed.
	Addressing Addressing

	// SkipTLSVerify does not verify the certificate of the server.
	SkipTLSVerify bool

	// RootCA is a PEM bundle of certificates to trust beside those of the system.
	RootCA []byte

	// CredentialsFile is a file of profiles, read both as credentials and as configuration. If empty, the credentials come
	// from the environment: keys, a web identity, an agent of the container or the instance.
	CredentialsFile string

	// Profile is the section of the file to use. If empty, it is that of $AWS_PROFILE, else "default".
	Profile string

	// Encryption is how the server encrypts objects.
	Encryption Encryption

	// Tagging are the tags of new objects, written as the query of a URL.
	Tagging string

	// Checksum is the algorithm of a checksum that new objects are sent with. If empty, they are sent with an MD5 sum only.
	Checksum string
}

// Encryption is how the server encrypts objects. The zero value leaves that to the bucket.
type Encryption struct {
	// Algorithm is the value of x-amz-server-side-encryption. With a KMSKey it is "aws:kms".
	Algorithm string

	// KMSKey is the key that AWS's key management keeps.
	KMSKey string

	// CustomerKeyFile holds, in its first 32 bytes, the key that is sent with each request.
	CustomerKeyFile string
}

// customerKeySize is the length of a key for AES-256.
const customerKeySize = 32

// checksums are the algorithms that a location may name.
var checksums = []types.ChecksumAlgorithm{
	types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme,
	types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256,
}

// validate names the first thing that is wrong.
func (o Options) validate() error {
	encryption := o.Encryption
	switch {
	case encryption.CustomerKeyFile != "" && encryption.KMSKey != "":
		return errors.New("config.customerKeyEncryptionFile and config.kmsKeyId exclude each other")
	case encryption.CustomerKeyFile != "" && strings.HasPrefix(o.Endpoint, "http://"):
		return errors.New("config.customerKeyEncryptionFile needs https: " +
			"config.s3Url begins with http://, and the key would be sent unencrypted")
	case o.Checksum != "" && !slices.Contains(checksums, types.ChecksumAlgorithm(o.Checksum)):
		return fmt.Errorf("config.checksumAlgorithm %q is not known (known: %q)", o.Checksum, checksums)
	}
	if _, err := url.ParseQuery(o.Tagging); err != nil {
		return errors.New("config.tagging must be of the form key=value&key=value")
	}
	return nil
}

// customerKey reads the key, empty if there is none. An error never holds what the file does.
func (e Encryption) customerKey() ([]byte, error) {
	if e.CustomerKeyFile == "" {
		return nil, nil
	}
	content, err := os.ReadFile(e.CustomerKeyFile)
	if err != nil {
		return nil, fmt.Errorf("read the key of config.customerKeyEncryptionFile: %w", err)
	}
	if len(content) < customerKeySize {
		return nil, fmt.Errorf("config.customerKeyEncryptionFile: %s must hold a key of %d bytes, found %d",
			e.CustomerKeyFile, customerKeySize, len(content))
	}
	return content[:customerKeySize], nil
}
