{{- /* At most 40 characters, so that every name derived from it stays a DNS label. */ -}}
{{- define "llm-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* Prefix of cluster-scoped names: two releases in two namespaces must not fight over one object. */ -}}
{{- define "llm-operator.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "llm-operator.fullname" .) -}}
{{- end -}}

{{- define "llm-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "llm-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: required because serviceAccount.create is false: name the ServiceAccount that the operator should use" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* Immutable in a Deployment: these three, for ever. The name is no value, because the NetworkPolicies that the operator makes
       for Ollama let in the pods that carry it. */ -}}
{{- define "llm-operator.selectorLabels" -}}
app.kubernetes.io/name: llm-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller-manager
{{- end -}}

{{- /* Ours win over commonLabels, which could otherwise break the selectors. */ -}}
{{- define "llm-operator.labels" -}}
{{- $ours := include "llm-operator.selectorLabels" . | fromYaml -}}
{{- $_ := set $ours "app.kubernetes.io/part-of" "llm-operator" -}}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $ours "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- mergeOverwrite (deepCopy .Values.commonLabels) $ours | toYaml -}}
{{- end -}}

{{- /* Without version and chart: a new chart with the same pod must not restart it. */ -}}
{{- define "llm-operator.podLabels" -}}
{{- $ours := include "llm-operator.selectorLabels" . | fromYaml -}}
{{- $_ := set $ours "app.kubernetes.io/part-of" "llm-operator" -}}
{{- mergeOverwrite (deepCopy .Values.commonLabels) (deepCopy .Values.podLabels) $ours | toYaml -}}
{{- end -}}

{{- define "llm-operator.image" -}}
{{- $image := .Values.image -}}
{{- $name := $image.repository -}}
{{- with $image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- /* The operator's settings file: values of the same names. */ -}}
{{- define "llm-operator.settings" -}}
kinds:
  legacyNames: {{ .Values.crds.legacyNames }}
defaults:
  {{- toYaml .Values.defaults | nindent 2 }}
models:
  {{- toYaml .Values.models | nindent 2 }}
policy:
  {{- toYaml .Values.policy | nindent 2 }}
webhook:
  refuseInMutating: {{ .Values.webhook.refuseInMutating }}
{{- end -}}

{{- define "llm-operator.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "llm-operator.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* The token is mounted by the pod itself, since automounting is off on the ServiceAccount and the pod: nobody else who
       uses the account gets one by accident. The path is where every client looks. */ -}}
{{- define "llm-operator.tokenVolume" -}}
name: api-access
projected:
  sources:
    - serviceAccountToken:
        path: token
        expirationSeconds: 3600
    - configMap:
        name: kube-root-ca.crt
        items:
          - {key: ca.crt, path: ca.crt}
    - downwardAPI:
        items:
          - {path: namespace, fieldRef: {fieldPath: metadata.namespace}}
{{- end -}}

{{- define "llm-operator.tokenMount" -}}
name: api-access
mountPath: /var/run/secrets/kubernetes.io/serviceaccount
readOnly: true
{{- end -}}

{{- /* Where `helm test` makes its dry runs: the webhooks answer for the watched namespaces only. */ -}}
{{- define "llm-operator.selfcheckNamespace" -}}
{{- if .Values.watchNamespaces }}{{ first .Values.watchNamespaces }}{{ else }}{{ .Release.Namespace }}{{ end -}}
{{- end -}}

{{- define "llm-operator.namespaceSelector" -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: In
    values:
      {{- toYaml .Values.watchNamespaces | nindent 6 }}
{{- end -}}

{{- /* CEL, appended to a list of model names: brings them to the form in which Ollama compares them (without scheme, default
       registry and default namespace, in lower case, with a tag). Keep it from being stricter than the webhook. */ -}}
{{- define "llm-operator.celModelNames" -}}
.map(n, n.lowerAscii())
.map(n, n.contains('://') ? n.substring(n.indexOf('://') + 3) : n)
.map(n, n.startsWith('registry.ollama.ai/') ? n.substring(19) : n)
.map(n, n.startsWith('library/') ? n.substring(8) : n)
.map(n, n.substring(n.lastIndexOf('/') + 1).contains(':') ? n : n + ':latest')
{{- end -}}
