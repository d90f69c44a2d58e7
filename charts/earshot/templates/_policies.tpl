{{- define "earshot.scraped" -}}
- ports:
    - {port: "metrics", protocol: "TCP"}
  {{- with .Values.networkPolicy.prometheus }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "earshot.dns" -}}
- ports:
    - {port: 53, protocol: "UDP"}
    - {port: 53, protocol: "TCP"}
{{- end }}

{{- /* (dict "root" $ "component" NAME) */ -}}
{{- define "earshot.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "earshot.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ (index .root.Values .component).podDisruptionBudget.maxUnavailable | toJson }}
  # A pod that is broken anyway holds up no one.
  unhealthyPodEvictionPolicy: "AlwaysAllow"
  selector:
    matchLabels:
      {{- include "earshot.selector" . | nindent 6 }}
{{- end }}

{{- define "earshot.serviceAccount" -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "earshot.serviceAccountName" . }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "earshot.labels" . | nindent 4 }}
  {{- with $account.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
