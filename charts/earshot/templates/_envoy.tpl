{{- /* files/ is made from deploy/envoy by charts/generate.py; its placeholders are those of this dict. */ -}}
{{- define "earshot.envoy.config" -}}
{{- $stt := include "earshot.component" (dict "root" .root "component" "stt") -}}
{{- $classification := include "earshot.component" (dict "root" .root "component" "classification") -}}
{{- $places := merge (include "earshot.security.places" .root | fromJson) (dict
  "stt" (include "earshot.host" (dict "root" .root "service" $stt))
  "classification" (include "earshot.host" (dict "root" .root "service" $classification))
  "maxHeapBytes" (mul .root.Values.envoy.maxHeapMebibytes 1048576)
  "allowedOrigins" .root.Values.envoy.allowedOrigins
  "maxConnections" (int64 .root.Values.envoy.maxConnections)
  "envoys" (include "earshot.host" (dict "root" .root "service" (include "earshot.component" (dict "root" .root "component" "envoy"))))
  "traces" (include "earshot.traces" .root | fromYaml)
  "Template" .root.Template
) -}}
{{- tpl (.root.Files.Get "files/envoy.yaml") $places -}}
{{- end }}

{{- define "earshot.envoy.configmap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "earshot.metadata" . | nindent 2 }}
data:
  envoy.yaml: |
    {{- include "earshot.envoy.config" . | nindent 4 }}
  {{- range $path, $_ := .root.Files.Glob "files/secrets/*.json" }}
  {{ base $path }}: {{ $.root.Files.Get $path | quote }}
  {{- end }}
  {{- with .root.Values.auth.tokens.jwks }}
  jwks.json: {{ . | quote }}
  {{- end }}
binaryData:
  earshot.binpb: {{ .root.Files.Get "files/earshot.binpb" | b64enc | quote }}
{{- end }}
