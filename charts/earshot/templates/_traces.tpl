{{- /* Where Envoy's spans go: to the collector of the services, the first that names one. Takes the root. */ -}}
{{- define "earshot.traces" -}}
{{- $stt := .Values.stt.settings -}}
{{- $settings := ternary $stt .Values.classification.settings (ne $stt.otlpEndpoint "") -}}
{{- with $settings.otlpEndpoint -}}
host: {{ (urlParse .).hostname | quote }}
port: {{ include "earshot.traces.port" . }}
perMillion: {{ mulf $settings.traceShare 1000000 | addf 0.5 | floor | int64 }}
tls: {{ eq (urlParse .).scheme "https" }}
{{- end -}}
{{- end }}

{{- define "earshot.traces.port" -}}
{{- regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" | default "4317" -}}
{{- end }}
