package store

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/node-agent/node-agent/pkg/location/settings"
)

// credentialsFile is the file that the location's own credentials are in, else the one that the location names, else
// the one that an environment variable names, if that exists. It is empty if there is none.
func (a Access) credentialsFile(variable string) (string, error) {
	for _, file := range []string{a.CredentialsFile, a.setting(settings.CredentialsFile)} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			return "", fmt.Errorf("credentials file: %w", err)
		}
		return file, nil
	}
	file := os.Getenv(variable)
	if file == "" {
		return "", nil
	}
	// The DaemonSet of Velero sets the variable even where the identity comes from the pod's service account.
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", fmt.Errorf("credentials file of $%s: %w", variable, err)
	}
	return file, nil
}

// variables are settings in the form KEY=VALUE, which Azure's credentials have.
type variables map[string]string

// get falls back to the environment.
func (v variables) get(key string) string {
	if value, ok := v[key]; ok {
		return value
	}
	return os.Getenv(key)
}

// readVariables reads a file of KEY=VALUE lines. Values may be quoted; "export " and comments are tolerated. An error
// names a line by its number alone, since the line may hold a secret.
func readVariables(file string) (variables, error) {
	result := variables{}
	if file == "" {
		return result, nil
	}
	content, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read credentials file: %w", err)
	}
	defer content.Close()

	scanner := bufio.NewScanner(content)
	for number := 1; scanner.Scan(); number++ {
		line := strings.TrimPrefix(strings.TrimSpace(scanner.Text()), "export ")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found {
			return nil, fmt.Errorf("credentials file %s: line %d is not of the form KEY=VALUE", file, number)
		}
		result[strings.TrimSpace(key)] = unquote(strings.TrimSpace(value))
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read credentials file %s: %w", file, err)
	}
	return result, nil
}

func unquote(value string) string {
	for _, quote := range []string{`"`, `'`} {
		if len(value) >= 2 && strings.HasPrefix(value, quote) && strings.HasSuffix(value, quote) {
			return value[1 : len(value)-1]
		}
	}
	return value
}
