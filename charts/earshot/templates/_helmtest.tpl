{{- /* How `helm test` calls. Each takes $. */ -}}

{{- /* The Secret of the key that it calls with; nothing where no key would do. */ -}}
{{- define "earshot.helmTest.key" -}}
{{- if .Values.auth.apiKeys.enabled }}{{ .Values.helmTest.apiKeySecret }}{{ end -}}
{{- end }}

{{- /* The Secret by which it knows Envoy; nothing where that is by the public authorities. */ -}}
{{- define "earshot.helmTest.ca" -}}
{{- $edge := .Values.tls.edge -}}
{{- $own := ternary "" (include "earshot.tls.edge" .) (or (ne $edge.secret "") $edge.certManager.enabled) -}}
{{- if $edge.enabled }}{{ .Values.helmTest.caSecret | default $own }}{{ end -}}
{{- end }}

{{- /* Options of the command, as JSON. No certificate is made out to a name with a dot at its end. */ -}}
{{- define "earshot.helmTest.options" -}}
{{- $tls := .Values.tls.edge.enabled -}}
{{- $host := include "earshot.host" (dict "root" . "service" (include "earshot.fullname" .)) -}}
{{- $target := printf "%s:%v" (ternary (trimSuffix "." $host) $host $tls) .Values.envoy.service.port -}}
{{- $open := ternary (list "--key-in-plain-text") list (ne (include "earshot.helmTest.key" .) "") -}}
{{- $known := ternary (list "--ca" "/etc/earshot/ca.crt") list (ne (include "earshot.helmTest.ca" .) "") -}}
{{- concat (list "--json" "--target" $target) (ternary (prepend $known "--tls") $open $tls) | toJson -}}
{{- end }}
