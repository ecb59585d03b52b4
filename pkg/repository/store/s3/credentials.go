package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/smithy-go/logging"
)

const (
	// sessionName tells an administrator who assumed a role.
	sessionName = "node-agent"

	// requestTimeout bounds the small requests for credentials and for the region of a bucket.
	requestTimeout = 30 * time.Second

	// expiryWindow is how long before they expire temporary keys are renewed.
	expiryWindow = time.Minute

	// fallbackRegion has the token service, and signs, where nothing says which region is meant.
	fallbackRegion = "us-east-1"
)

// configuration finds credentials as all of AWS's tools do, and keeps them valid. They are there when it returns.
func configuration(ctx context.Context, options Options, client *awshttp.BuildableClient) (aws.Config, error) {
	loaders := []func(*config.LoadOptions) error{
		config.WithRegion(options.Region),
		config.WithDefaultRegion(fallbackRegion),
		config.WithHTTPClient(client.WithTimeout(requestTimeout)),
		config.WithLogger(logging.Nop{}),
		config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
			if o.RoleSessionName == "" {
				o.RoleSessionName = sessionName
			}
		}),
		config.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) {
			if o.RoleSessionName == "" {
				o.RoleSessionName = sessionName
			}
		}),
		config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = expiryWindow }),
	}
	file := options.CredentialsFile
	if file == "" {
		if err := checkEnvironment(); err != nil {
			return aws.Config{}, err
		}
	} else {
		profile := options.profile()
		if err := checkProfile(ctx, file, profile); err != nil {
			return aws.Config{}, fmt.Errorf("credentials file %s: %w", file, err)
		}
		loaders = append(loaders, config.WithSharedConfigProfile(profile),
			config.WithSharedCredentialsFiles([]string{file}), config.WithSharedConfigFiles([]string{file}))
	}
	result, err := config.LoadDefaultConfig(ctx, loaders...)
	if err == nil {
		_, err = result.Credentials.Retrieve(ctx)
	}
	if err != nil {
		return aws.Config{}, fmt.Errorf("get credentials for bucket %q: %w", options.Bucket, explained(err))
	}
	return result, nil
}

// profile is the section of the credentials file to use.
func (o Options) profile() string {
	for _, name := range []string{o.Profile, os.Getenv("AWS_PROFILE")} {
		if name != "" {
			return name
		}
	}
	return "default"
}

// checkEnvironment finds half a pair of keys. AWS's chain passes over one, and would go on as whoever comes next.
func checkEnvironment() error {
	access := firstSet("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY")
	secret := firstSet("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY")
	if access != "" && secret == "" {
		return fmt.Errorf("the environment has %s, but not AWS_SECRET_ACCESS_KEY", access)
	}
	if secret != "" && access == "" {
		return fmt.Errorf("the environment has %s, but not AWS_ACCESS_KEY_ID", secret)
	}
	return nil
}

// firstSet is the first of the variables that has a value.
func firstSet(variables ...string) string {
	for _, name := range variables {
		if os.Getenv(name) != "" {
			return name
		}
	}
	return ""
}

// checkProfile says what a profile lacks, without which AWS's chain would go on as whoever comes next, or in other words
// than those of the file.
func checkProfile(ctx context.Context, file, name string) error {
	profile, err := config.LoadSharedConfigProfile(ctx, name, func(o *config.LoadSharedConfigOptions) {
		o.CredentialsFiles, o.ConfigFiles, o.Logger = []string{file}, []string{file}, logging.Nop{}
	})
	if missing, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return missingProfile(file, missing.Profile)
	}
	if role, ok := errors.AsType[config.SharedConfigAssumeRoleError](err); ok && role.Err == nil {
		return fmt.Errorf("profile %q, which %s is to be assumed with, has no credentials", role.Profile, role.RoleARN)
	}
	if err != nil && strings.Contains(err.Error(), "partial credentials") {
		return fmt.Errorf("profile %q has only one of aws_access_key_id and aws_secret_access_key", name)
	}
	if err != nil {
		return fmt.Errorf("profile %q: %w", name, err)
	}
	return checkSource(&profile)
}

// checkSource looks at a profile and at those that it takes its credentials from.
func checkSource(profile *config.SharedConfig) error {
	for profile.Source != nil {
		profile = profile.Source
	}
	switch {
	case profile.CredentialProcess != "":
		return fmt.Errorf("profile %q: credential_process is not supported: the program is not in the image of node-agent", profile.Profile)
	case profile.Credentials.HasKeys(), profile.CredentialSource != "", profile.WebIdentityTokenFile != "",
		profile.SSOSession != nil, profile.SSOAccountID != "", profile.LoginSession != "":
		return nil
	case profile.RoleARN != "":
		return fmt.Errorf("profile %q: role_arn needs web_identity_token_file, source_profile or credential_source", profile.Profile)
	}
	return fmt.Errorf("profile %q: neither aws_access_key_id with aws_secret_access_key nor role_arn is set", profile.Profile)
}

var (
	byteOrderMark = []byte("\ufeff")
	sectionHeader = regexp.MustCompile(`(?m)^[ \t]*\[[ \t]*(?:profile[ \t]+)?([^\]\r\n]+?)[ \t]*\]`)
)

// missingProfile names the profiles that there are. A profile of the name may be there and still not be found: behind a
// byte order mark.
func missingProfile(file, name string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(content, byteOrderMark) {
		return fmt.Errorf("profile %q is not found: the file begins with a byte order mark, save it without one", name)
	}
	var found []string
	for _, match := range sectionHeader.FindAllSubmatch(content, -1) {
		found = append(found, string(match[1]))
	}
	if len(found) == 0 {
		return errors.New("it is not a file of profiles: it has no line like [default]")
	}
	slices.Sort(found)
	return fmt.Errorf("profile %q does not exist (found: %s)", name, strings.Join(slices.Compact(found), ", "))
}
