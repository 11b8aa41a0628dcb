//! llm-operator: runs private LLM stacks on Kubernetes.
