package main

import (
	"fmt"
	"os"
	"strings"
)

// section is a table of config.toml, by key.
type section map[string]string

// kinds that Tabby knows, for each use; another one makes it panic.
var kinds = map[string][]string{
	"completion": {
		"ollama/completion", "llama.cpp/completion", "mistral/completion", "openai/completion", "openai/legacy_completion",
		"deepseek/completion", "openai/legacy_completion_no_fim", "vllm/completion",
	},
	"chat": {"openai/chat", "mistral/chat", "azure/chat"},
	"embedding": {
		"ollama/embedding", "openai/embedding", "llama.cpp/embedding", "llama.cpp/before_b4356_embedding", "voyage/embedding",
		"azure/embedding", "mistral/embedding",
	},
}

// readConfig reads the three model sections. It understands tables and keys with basic strings, which is all that an
// operator has to write; any other line is an error, where Tabby would take more.
func readConfig(path string) (map[string]section, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sections := map[string]section{}
	var current section
	for number, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		key, value, isPair := strings.Cut(line, " = ")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			current = section{}
			sections[strings.Trim(line, "[]")] = current
		case isPair && current != nil && len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"':
			current[key] = value[1 : len(value)-1]
		default:
			return nil, fmt.Errorf("%s, line %d: cannot be read: %s", path, number+1, line)
		}
	}
	return sections, checkSections(sections)
}

func checkSections(sections map[string]section) error {
	for use, known := range kinds {
		model, found := sections["model."+use+".http"]
		if !found {
			// Without its section Tabby runs the model itself, and its embedding model needs a CUDA that CPU nodes lack.
			return fmt.Errorf("libcuda.so.1: cannot open shared object file (no [model.%s.http])", use)
		}
		if !contains(known, model["kind"]) {
			return fmt.Errorf("Unsupported model kind: %s", model["kind"])
		}
		if model["model_name"] == "" {
			return fmt.Errorf("model_name is required for %s", model["kind"])
		}
	}
	return nil
}

func contains(list []string, text string) bool {
	for _, entry := range list {
		if entry == text {
			return true
		}
	}
	return false
}
