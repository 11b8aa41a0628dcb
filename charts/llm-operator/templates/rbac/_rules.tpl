{{- /* What reconciling needs, in every watched namespace. Children are written by create and server-side apply (`patch`);
       nothing is replaced, so no `update`. RBAC cannot select by label or owner, so what follows holds for every object
       of the kind; the operator itself touches only what it labelled and owns. */ -}}
{{- define "llm-operator.workloadRules" -}}
{{- $stacks := include "llm-operator.stacks" . | fromJsonArray }}
# The stacks. `patch` is for finalizers and annotations (JSON patches); RBAC cannot keep it from the spec, the operator does.
- apiGroups: [llm.geeper.io]
  resources: [{{ join ", " $stacks }}]
  verbs: [get, list, watch, patch]
# What the operator found out about them.
- apiGroups: [llm.geeper.io]
  resources: [{{ join "/status, " $stacks }}/status]
  verbs: [patch]
# Children name their owner with blockOwnerDeletion, which clusters with OwnerReferencesPermissionEnforcement allow only so.
- apiGroups: [llm.geeper.io]
  resources: [{{ join "/finalizers, " $stacks }}/finalizers]
  verbs: [update]
# The models: children of a stack, and users' own.
- apiGroups: [ollama.smithforge.dev]
  resources: [ollamamodels]
  verbs: [get, list, watch, create, patch, delete]
# Progress, digest and size of a model.
- apiGroups: [ollama.smithforge.dev]
  resources: [ollamamodels/status]
  verbs: [patch]
# As for lmdeployments/finalizers.
- apiGroups: [ollama.smithforge.dev]
  resources: [ollamamodels/finalizers]
  verbs: [update]
# Every component; `delete` when a component is switched off or moves between Deployment and StatefulSet.
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch, create, patch, delete]
# What the older operator left: its pods serve until ours do, and then go with what made them.
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch, delete]
# The addresses, the settings and the identity of each component.
- apiGroups: [""]
  resources: [services, configmaps, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
# Models, accounts, uploads and indices. `delete` is for claims of a part that is switched off and whose manifest says
# `persistence.retain: false`; every other claim goes by the user's hand.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
# Secrets that a spec names are read, and watched one by one (list and watch with a field selector on the name, which RBAC
# can restrict only to names known in advance); generated ones are created once and removed with what they belong to.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
# Models are pulled over each Ollama pod's own address. `delete` restarts a server that hangs before its start-up gate has
# opened, where no liveness probe runs yet.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
# Drains leave one replica serving.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# How many replicas a component has where load decides.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
# Who may reach the components, and under which host name.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies, ingresses]
  verbs: [get, list, watch, create, patch, delete]
# The same through a Gateway, in clusters that have the Gateway API. The Gateways themselves are not read.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
# Events; a repeated one is patched.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# Why a claim is not bound, a volume not mounted, a pod of a StatefulSet refused: that is told in events only.
- apiGroups: [""]
  resources: [events]
  verbs: [list]
{{- end -}}

{{- /* The kinds of stacks: LMDeployment, and its older names. */ -}}
{{- define "llm-operator.stacks" -}}
{{- if .Values.crds.legacyNames }}["lmdeployments", "ollamadeployments", "deployments"]{{ else }}["lmdeployments"]{{ end }}
{{- end -}}

{{- define "llm-operator.subject" -}}
kind: ServiceAccount
name: {{ include "llm-operator.serviceAccountName" . }}
namespace: {{ .Release.Namespace }}
{{- end -}}
