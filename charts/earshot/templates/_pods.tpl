{{- /* What all pods have in common. Each takes (dict "root" $ "component" NAME). */ -}}
{{- define "earshot.podMetadata" -}}
{{- $values := index .root.Values .component -}}
labels:
  {{- include "earshot.selector" . | nindent 2 }}
  {{- include "earshot.partOf" . | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  kubectl.kubernetes.io/default-container: {{ .component | quote }}
  {{- if .root.Values.monitoring.annotations }}
  prometheus.io/scrape: "true"
  prometheus.io/port: {{ ternary "9902" "9464" (eq .component "envoy") | quote }}
  prometheus.io/path: {{ ternary "/stats/prometheus" "/metrics" (eq .component "envoy") | quote }}
  {{- end }}
  {{- with $values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "earshot.podSpec" -}}
{{- $values := index .root.Values .component -}}
serviceAccountName: {{ include "earshot.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: "OnRootMismatch"
  seccompProfile:
    type: "RuntimeDefault"
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.topologySpread }}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ .topologyKey | quote }}
    maxSkew: {{ .maxSkew }}
    whenUnsatisfiable: {{ .whenUnsatisfiable | quote }}
    # Each revision by itself, so that a roll-out ends as evenly as it began.
    matchLabelKeys: ["pod-template-hash"]
    labelSelector:
      matchLabels:
        {{- include "earshot.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "earshot.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end }}

{{- /* Nothing is taken away before its successor is there. */ -}}
{{- define "earshot.rollout" -}}
type: "RollingUpdate"
rollingUpdate:
  maxUnavailable: 0
  maxSurge: 1
{{- end }}
