package store

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"gopkg.in/ini.v1"
)

// settingProfile selects a section of the credentials file.
const settingProfile = "profile"

// Keys of a profile, as in the files of AWS's own tools.
const (
	profileAccessKey    = "aws_access_key_id"
	profileSecretKey    = "aws_secret_access_key"
	profileSessionToken = "aws_session_token"
	profileRoleARN      = "role_arn"
	profileSource       = "source_profile"
	profileExternalID   = "external_id"
	profileSessionName  = "role_session_name"
	profileTokenFile    = "web_identity_token_file"
)

// sessionName tells an administrator who assumed a role.
const sessionName = "node-agent"

// s3Credentials returns keys that are renewed before they expire, if they do. They come from the credentials file,
// which is read both as credentials and as configuration, or else from the environment, a web identity (IRSA), the
// container's or the instance's metadata service.
func s3Credentials(access Access, region string) (*credentials.Credentials, error) {
	file, err := access.credentialsFile("AWS_SHARED_CREDENTIALS_FILE")
	if err != nil {
		return nil, err
	}
	if file != "" {
		return profileCredentials(file, access.profile(), region)
	}
	if environment := (&credentials.EnvAWS{}); hasKeys(environment) {
		return credentials.New(environment), nil
	}
	return credentials.New(&credentials.IAM{Region: region}), nil
}

// profile is the section of the credentials file to use.
func (a Access) profile() string {
	for _, name := range []string{a.setting(settingProfile), os.Getenv("AWS_PROFILE")} {
		if name != "" {
			return name
		}
	}
	return "default"
}

func hasKeys(provider credentials.Provider) bool {
	value, err := provider.RetrieveWithCredContext(nil)
	return err == nil && value.AccessKeyID != "" && value.SecretAccessKey != ""
}

// profileCredentials reads one profile of a credentials file.
func profileCredentials(file, name, region string) (*credentials.Credentials, error) {
	// A key may hold any of the characters that an INI file gives a meaning to.
	content, err := ini.LoadSources(ini.LoadOptions{
		SpaceBeforeInlineComment: true, IgnoreContinuation: true, SkipUnrecognizableLines: true,
	}, file)
	if err != nil {
		return nil, fmt.Errorf("credentials file %s is not a file of profiles", file)
	}
	profile, err := findProfile(content, name)
	if err != nil {
		return nil, fmt.Errorf("credentials file %s: %w", file, err)
	}
	keys, err := keysOfProfile(content, profile, region)
	if err != nil {
		return nil, fmt.Errorf("credentials file %s: profile %q: %w", file, name, err)
	}
	return keys, nil
}

// findProfile knows both ways of naming a section.
func findProfile(content *ini.File, name string) (*ini.Section, error) {
	for _, section := range []string{name, "profile " + name} {
		if content.HasSection(section) {
			return content.Section(section), nil
		}
	}
	known := slices.DeleteFunc(content.SectionStrings(), func(section string) bool { return section == ini.DefaultSection })
	return nil, fmt.Errorf("profile %q does not exist (found: %s)", name, strings.Join(known, ", "))
}

func keysOfProfile(content *ini.File, profile *ini.Section, region string) (*credentials.Credentials, error) {
	role := profile.Key(profileRoleARN).String()
	switch {
	case role != "" && profile.HasKey(profileTokenFile):
		return webIdentity(profile, region), nil
	case role != "" && profile.HasKey(profileSource):
		return assumeRole(content, profile, region)
	case role != "":
		return nil, fmt.Errorf("%s needs %s or %s", profileRoleARN, profileTokenFile, profileSource)
	}
	access, secret := profile.Key(profileAccessKey).String(), profile.Key(profileSecretKey).String()
	if access == "" || secret == "" {
		return nil, fmt.Errorf("neither %s with %s nor %s is set", profileAccessKey, profileSecretKey, profileRoleARN)
	}
	return credentials.NewStaticV4(access, secret, profile.Key(profileSessionToken).String()), nil
}

// webIdentity exchanges a token, which the kubelet renews in its file, for keys.
func webIdentity(profile *ini.Section, region string) *credentials.Credentials {
	file := profile.Key(profileTokenFile).String()
	return credentials.New(&credentials.STSWebIdentity{
		STSEndpoint: stsEndpoint(region),
		RoleARN:     profile.Key(profileRoleARN).String(),
		GetWebIDTokenExpiry: func() (*credentials.WebIdentityToken, error) {
			token, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("read the web identity token: %w", err)
			}
			return &credentials.WebIdentityToken{Token: string(token)}, nil
		},
	})
}

// assumeRole uses the fixed keys of another profile to get those of a role.
func assumeRole(content *ini.File, profile *ini.Section, region string) (*credentials.Credentials, error) {
	source, err := findProfile(content, profile.Key(profileSource).String())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", profileSource, err)
	}
	if source.Name() != profile.Name() && source.HasKey(profileRoleARN) {
		return nil, errors.New("a chain of roles is not supported")
	}
	return credentials.New(&credentials.STSAssumeRole{
		Client:      &http.Client{Timeout: s3ClientTimeout},
		STSEndpoint: stsEndpoint(region),
		Options: credentials.STSAssumeRoleOptions{
			AccessKey:       source.Key(profileAccessKey).String(),
			SecretKey:       source.Key(profileSecretKey).String(),
			SessionToken:    source.Key(profileSessionToken).String(),
			Location:        region,
			RoleARN:         profile.Key(profileRoleARN).String(),
			RoleSessionName: profile.Key(profileSessionName).MustString(sessionName),
			ExternalID:      profile.Key(profileExternalID).String(),
		},
	}), nil
}

// stsEndpoint is the regional one, which exists in all partitions of AWS.
func stsEndpoint(region string) string {
	if endpoint := os.Getenv("AWS_ENDPOINT_URL_STS"); endpoint != "" {
		return endpoint
	}
	switch {
	case region == "":
		return "https://sts.amazonaws.com"
	case strings.HasPrefix(region, "cn-"):
		return "https://sts." + region + ".amazonaws.com.cn"
	default:
		return "https://sts." + region + ".amazonaws.com"
	}
}
