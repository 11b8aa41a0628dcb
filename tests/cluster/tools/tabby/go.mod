module llm-operator.dev/tools/tabby

go 1.26
