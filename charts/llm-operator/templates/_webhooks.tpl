{{- /* The Secret of the certificate. Another one in each mode, so that a change of modes spoils neither. */ -}}
{{- define "llm-operator.certificateSecret" -}}
{{- if eq .Values.webhook.tls.mode "existingSecret" -}}
{{- required "webhook.tls.mode is existingSecret: name the Secret in webhook.tls.existingSecret" .Values.webhook.tls.existingSecret -}}
{{- else if eq .Values.webhook.tls.mode "certManager" -}}
{{- include "llm-operator.fullname" . }}-webhook-tls
{{- else -}}
{{- include "llm-operator.fullname" . }}-webhook-ca
{{- end -}}
{{- end -}}

{{- /* Whether somebody else tells the API server whom to trust. */ -}}
{{- define "llm-operator.trustIsGiven" -}}
{{- if or (eq .Values.webhook.tls.mode "certManager") (and (eq .Values.webhook.tls.mode "existingSecret") .Values.webhook.tls.caBundle) -}}
true
{{- end -}}
{{- end -}}

{{- define "llm-operator.webhookMetadata" -}}
labels:
  {{- include "llm-operator.labels" . | nindent 2 }}
{{- if eq .Values.webhook.tls.mode "certManager" }}
annotations:
  cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ include "llm-operator.fullname" . }}-webhook
{{- end }}
{{- end -}}

{{- /* The one entry of a webhook configuration. Its name is for ever: under server-side apply a renamed entry would leave
       the old one behind, half empty, because the operator owns its caBundle. No caBundle here, not even an empty one, but
       for one that is a value: the operator writes it, and what is not rendered is neither wiped nor fought over.
       Takes a dict: root, name, path, failurePolicy. */ -}}
{{- define "llm-operator.webhook" -}}
{{- $root := .root -}}
name: {{ .name }}
admissionReviewVersions: [v1]
sideEffects: None
matchPolicy: Equivalent
failurePolicy: {{ .failurePolicy }}
timeoutSeconds: {{ $root.Values.webhook.timeoutSeconds }}
clientConfig:
  service:
    name: {{ include "llm-operator.fullname" $root }}-webhook
    namespace: {{ $root.Release.Namespace }}
    path: {{ .path }}
    port: 443
  {{- if and (eq $root.Values.webhook.tls.mode "existingSecret") $root.Values.webhook.tls.caBundle }}
  caBundle: {{ $root.Values.webhook.tls.caBundle | b64enc }}
  {{- end }}
rules:
  {{- include "llm-operator.webhookRules" $root | nindent 2 }}
{{- if $root.Values.watchNamespaces }}
namespaceSelector:
  {{- include "llm-operator.namespaceSelector" $root | nindent 2 }}
{{- end }}
matchConditions:
  # Finalizers, labels and annotations can always be written, whatever state the operator is in.
  - name: spec-changed
    expression: >-
      request.operation == 'CREATE' || has(object.spec) != has(oldObject.spec)
      || (has(object.spec) && object.spec != oldObject.spec)
  # A rule that came later must not keep an object from going away.
  - name: not-deleting
    expression: "!has(object.metadata.deletionTimestamp)"
{{- end -}}

{{- /* Main resources only: /status and /scale never depend on us. One rule per group, so that a kind is one more word. */ -}}
{{- define "llm-operator.webhookRules" -}}
- apiGroups: [llm.geeper.io]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [{{ include "llm-operator.stacks" . | fromJsonArray | join ", " }}]
  scope: Namespaced
- apiGroups: [ollama.smithforge.dev]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [ollamamodels]
  scope: Namespaced
{{- end -}}
