module llm-operator.dev/tools/pause

go 1.26
