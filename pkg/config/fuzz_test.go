package config_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/node-agent/node-agent/pkg/config"
)

// FuzzDecode holds whatever happens against three promises: no panic, a position inside of the text for each problem,
// and nothing taken for JSON that encoding/json would refuse.
func FuzzDecode(f *testing.F) {
	const maxSeed = 4 << 10
	for _, pattern := range []string{"testdata/invalid/*", "testdata/valid/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if filepath.Ext(file) != ".want" && len(text) <= maxSeed {
				f.Add(text)
			}
		}
	}
	for _, manifest := range []string{
		configMapManifest, "apiVersion: v1\nkind: Secret\n---\n" + configMapManifest,
		"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  data: {c: '{\"podLabels\": 1}'}\n",
		`{"apiVersion": "v1", "kind": "ConfigMap", "data": {"c": "{\n \"backupPVC\": 1}"}}`,
	} {
		f.Add([]byte(manifest))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := config.Decode(source, text)
		checkTolerant(t, text, err)
		if err == nil {
			checkDecoded(t, cfg, text)
			return
		}
		invalid, ok := errors.AsType[*config.Error](err)
		if !ok || cfg != nil || len(invalid.Problems) == 0 {
			t.Fatalf("got %v and %T %v", cfg, err, err)
		}
		lines := strings.Split(string(text), "\n")
		for _, problem := range invalid.Problems {
			if problem.Line < 1 || problem.Line > len(lines) || problem.Column < 1 {
				t.Fatalf("no position in the text: %+v", problem)
			}
			// A byte order mark is not counted, and the end of the text is one character behind the last.
			if end := len([]rune(lines[problem.Line-1])) + 1; problem.Column > end {
				t.Fatalf("column is behind the end of the line at %d: %+v", end, problem)
			}
			if problem.Message+problem.Found+problem.Expected == "" {
				t.Fatalf("nothing said: %+v", problem)
			}
		}
	})
}

func checkDecoded(t *testing.T, cfg *config.Config, text []byte) {
	if cfg.LoadConcurrency == nil || cfg.LoadConcurrency.GlobalConfig < 1 {
		t.Fatalf("no default concurrency in %+v", cfg)
	}
	plain := strings.TrimPrefix(string(text), "\uFEFF")
	if strings.HasPrefix(strings.TrimLeft(plain, " \t\r\n"), "{") && !json.Valid([]byte(plain)) {
		t.Fatal("invalid JSON was accepted")
	}
	if _, err := json.Marshal(cfg); err != nil {
		t.Fatal(err)
	}
	if json.Valid(text) {
		if err := json.Unmarshal(text, &veleroConfigs{}); err != nil {
			t.Fatalf("Velero would refuse it: %v", err)
		}
	}
}

// checkTolerant holds the tolerant decoder against the strict one: what that accepts, it accepts too.
func checkTolerant(t *testing.T, text []byte, strict error) {
	decoder := config.Decoder{UnknownKeys: config.WarnOfUnknownKeys}
	document := decoder.CheckFile(source, text)
	if strict == nil && document.Err() != nil {
		t.Fatalf("refused although it is valid: %v", document.Err())
	}
	if document.Config != nil {
		checkDecoded(t, document.Config, nil)
	}
	lines := strings.Split(string(text), "\n")
	for _, problem := range append(document.Problems, document.Warnings...) {
		// Where positions count in a value, the source says so.
		inFile := document.Source == source && problem.Line > 0 && problem.Line <= len(lines)
		if document.Source == source && (!inFile || problem.Column < 1 || problem.Column > len([]rune(lines[problem.Line-1]))+1) {
			t.Fatalf("no position in the file: %+v", problem)
		}
	}
}
