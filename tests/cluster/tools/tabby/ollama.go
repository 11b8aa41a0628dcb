package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"time"
)

// checkModels asks Ollama for the models of the kinds that need it, and panics like Tabby when it does not answer or lacks one.
// Tabby pulls only when it is told to, which nobody should tell it here.
func checkModels(config map[string]section) {
	if os.Getenv("TABBY_OLLAMA_ALLOW_PULL") != "" {
		panicked("the stand-in pulls nothing: TABBY_OLLAMA_ALLOW_PULL must not be set")
	}
	for _, use := range []string{"completion", "embedding"} {
		model := config["model."+use+".http"]
		if !strings.HasPrefix(model["kind"], "ollama/") {
			continue
		}
		names, err := models(model["api_endpoint"])
		if err != nil {
			panicked("Failed to list models of %s: %v", model["api_endpoint"], err)
		}
		if !contains(names, model["model_name"]) {
			panicked("Model is not available, and pulling is disabled: %s", model["model_name"])
		}
	}
}

func models(endpoint string) ([]string, error) {
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(endpoint + "/api/tags")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var tags struct {
		Models []struct {
			Name string `json:"name"`
		} `json:"models"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&tags); err != nil {
		return nil, err
	}
	var names []string
	for _, model := range tags.Models {
		names = append(names, model.Name)
	}
	return names, nil
}
