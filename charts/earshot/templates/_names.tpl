{{- /* All names. A component is "stt", "classification" or "envoy". */ -}}
{{- define "earshot.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "earshot.fullname" -}}
{{- $name := include "earshot.name" . -}}
{{- $release := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $release | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- /* (dict "root" $ "component" NAME) */ -}}
{{- define "earshot.component" -}}
{{- printf "%s-%s" (include "earshot.fullname" .root) .component -}}
{{- end }}

{{- /* The name of a Service as DNS has it, with the dot that ends the search. (dict "root" $ "service" NAME) */ -}}
{{- define "earshot.host" -}}
{{- printf "%s.%s.svc.%s." .service .root.Release.Namespace .root.Values.clusterDomain -}}
{{- end }}

{{- define "earshot.selector" -}}
app.kubernetes.io/name: {{ include "earshot.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end }}

{{- /* Whatever the chart and the release are called: by it `earshot cluster` finds what is of a release. */ -}}
{{- define "earshot.partOf" -}}
app.kubernetes.io/part-of: "earshot"
{{- end }}

{{- define "earshot.labels" -}}
{{ include "earshot.selector" . }}
{{ include "earshot.partOf" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | quote }}
{{- end }}

{{- define "earshot.metadata" -}}
name: {{ include "earshot.component" . | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "earshot.labels" . | nindent 2 }}
{{- end }}

{{- define "earshot.serviceAccountName" -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
{{- $account.name | default (ternary (include "earshot.component" .) "default" $account.create) | quote -}}
{{- end }}

{{- define "earshot.resumeKeys" -}}
{{- .Values.resumeKeys.secret | default (printf "%s-resume-keys" (include "earshot.fullname" .)) -}}
{{- end }}

{{- /* (dict "image" VALUES "tag" DEFAULT) */ -}}
{{- define "earshot.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest | quote -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .tag) | quote -}}
{{- end -}}
{{- end }}

{{- define "earshot.servicesImage" -}}
{{- include "earshot.image" (dict "image" .Values.image "tag" .Chart.AppVersion) -}}
{{- end }}
