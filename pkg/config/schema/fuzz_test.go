package schema_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/manifest"
	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/config/schema"
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
	const configMap = "apiVersion: v1\nkind: ConfigMap\ndata:\n  config.json: |\n    {\n      \"backupPVC\": {\n\n        \"gold\": {\"redOnly\": true}\n}}\n"
	for _, text := range []string{
		configMap, "apiVersion: v1\nkind: Secret\n---\n" + configMap,
		"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  data: {c: '{\"podLabels\": 1}'}\n",
		`{"apiVersion": "v1", "kind": "ConfigMap", "data": {"c": "{\n \"backupPVC\": 1}"}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := schema.Decoder{}.Decode(source, text)
		checkTolerant(t, text, err)
		if err == nil {
			checkDecoded(t, cfg, text)
			return
		}
		invalid, ok := errors.AsType[*problem.Error](err)
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
	decoder := schema.Decoder{UnknownKeys: schema.WarnOfUnknownKeys}
	checked := manifest.CheckFile(decoder, source, text)
	if strict == nil && checked.Err() != nil {
		t.Fatalf("refused although it is valid: %v", checked.Err())
	}
	if checked.Config != nil {
		checkDecoded(t, checked.Config, nil)
	}
	lines := strings.Split(string(text), "\n")
	for _, problem := range append(checked.Problems, checked.Warnings...) {
		// Where positions count in a value, the source says so.
		inFile := checked.Source == source && problem.Line > 0 && problem.Line <= len(lines)
		if checked.Source == source && (!inFile || problem.Column < 1 || problem.Column > len([]rune(lines[problem.Line-1]))+1) {
			t.Fatalf("no position in the file: %+v", problem)
		}
	}
}
