{{- /* Names of what keys and certificates lie in. Each takes $. */ -}}
{{- define "earshot.keys" -}}
{{- .Values.auth.apiKeys.secret | default (printf "%s-api-keys" (include "earshot.fullname" .)) -}}
{{- end }}

{{- define "earshot.tls.edge" -}}
{{- .Values.tls.edge.secret | default (printf "%s-tls-edge" (include "earshot.fullname" .)) -}}
{{- end }}

{{- /* (dict "root" $ "side" "envoy"), or "services" */ -}}
{{- define "earshot.tls.internal" -}}
{{- index .root.Values.tls.internal.secrets .side | default (printf "%s-tls-%s" (include "earshot.fullname" .root) .side) -}}
{{- end }}

{{- /* Whether callers must say who they are: "true", or nothing. */ -}}
{{- define "earshot.asks" -}}
{{- $auth := .Values.auth -}}
{{- if or $auth.apiKeys.enabled $auth.tokens.enabled $auth.certificates.enabled }}true{{ end -}}
{{- end }}

{{- /* Whether the keys of tokens come from a place with an authority of its own: "true", or nothing. */ -}}
{{- define "earshot.jwksCa" -}}
{{- $tokens := .Values.auth.tokens -}}
{{- if and $tokens.enabled $tokens.jwksUrl $tokens.jwksCaSecret }}true{{ end -}}
{{- end }}

{{- /* Where the services find which models each client may use; nothing where nobody is asked for a name. */ -}}
{{- define "earshot.allowed" -}}
{{- if include "earshot.asks" . }}{{ include "earshot.component" (dict "root" . "component" "allowed") }}{{ end -}}
{{- end }}

{{- define "earshot.limits" -}}
{{- if or .Values.rates.all.perSecond .Values.rates.client.perSecond }}true{{ end -}}
{{- end }}

{{- /* What would be open to the world, or makes no sense, is refused before it is installed. */ -}}
{{- define "earshot.security.check" -}}
{{- $auth := .Values.auth -}}
{{- $shown := or .Values.envoy.ingress.enabled .Values.envoy.gateway.enabled (ne .Values.envoy.service.type "ClusterIP") -}}
{{- if and $shown (not (include "earshot.asks" .)) (not $auth.anonymous) -}}
{{- fail "this would let everyone outside call: set auth.apiKeys, auth.tokens or auth.certificates, or auth.anonymous=true where something before it asks who is calling" -}}
{{- end -}}
{{- if and $auth.certificates.enabled (not .Values.tls.edge.enabled) -}}
{{- fail "auth.certificates: certificates are shown over TLS only: set tls.edge.enabled" -}}
{{- end -}}
{{- if and (or $auth.clients $auth.models .Values.rates.clients) (not (include "earshot.asks" .)) -}}
{{- fail "auth.clients, auth.models and rates.clients: nobody is asked for a name: set auth.apiKeys, auth.tokens or auth.certificates" -}}
{{- end -}}
{{- if and (include "earshot.asks" .) (not .Values.tls.internal.enabled) -}}
{{- fail "auth: without tls.internal every pod could call the services past Envoy, under any name" -}}
{{- end -}}
{{- if and .Values.tls.edge.enabled (not .Values.tls.internal.enabled) -}}
{{- fail "tls.edge: without tls.internal the classification service has no door to hear through" -}}
{{- end -}}
{{- end }}

{{- /* What files/envoy.yaml asks for beside addresses. */ -}}
{{- define "earshot.security.places" -}}
{{- $values := .Values -}}
{{- $url := urlParse (ternary $values.auth.tokens.jwksUrl "" $values.auth.tokens.enabled) -}}
{{- dict
  "asks" (include "earshot.asks" .)
  "keys" $values.auth.apiKeys.enabled
  "tokens" (ternary $values.auth.tokens (dict) $values.auth.tokens.enabled)
  "certificates" $values.auth.certificates.enabled
  "clients" $values.auth.clients
  "rates" (include "earshot.limits" .)
  "rateOfAll" (dict
    "perSecond" (int64 ($values.rates.all.perSecond | default 1000000000))
    "burst" (int64 (ternary $values.rates.all.burst 1000000000 (gt (int64 $values.rates.all.perSecond) 0))))
  "clientRate" (ternary $values.rates.client (dict) (gt (int64 $values.rates.client.perSecond) 0))
  "clientRates" $values.rates.clients
  "tls" $values.tls.edge.enabled
  "inner" $values.tls.internal.enabled
  "jwksHost" (splitList ":" $url.host | first)
  "jwksCa" (ternary "/etc/earshot/tls/jwks/ca.crt" "/etc/ssl/certs/ca-certificates.crt" (ne $values.auth.tokens.jwksCaSecret ""))
  "jwksPort" (splitList ":" (printf "%s:443" $url.host) | rest | first)
| toJson -}}
{{- end }}

{{- /* Secrets as Envoy mounts them. */ -}}
{{- define "earshot.security.envoyVolumes" -}}
{{- $root := .root -}}
{{- if $root.Values.auth.apiKeys.enabled }}
- name: "api-keys"
  secret: {secretName: {{ include "earshot.keys" $root | quote }}, defaultMode: 0440}
{{- end }}
{{- if $root.Values.tls.edge.enabled }}
- name: "tls-edge"
  secret: {secretName: {{ include "earshot.tls.edge" $root | quote }}, defaultMode: 0440}
{{- end }}
{{- if $root.Values.auth.certificates.enabled }}
- name: "tls-callers"
  secret:
    secretName: {{ $root.Values.auth.certificates.secret | quote }}
    defaultMode: 0440
    items: [{key: "ca.crt", path: "ca.crt"}]
{{- end }}
{{- if include "earshot.jwksCa" $root }}
- name: "tls-jwks"
  secret:
    secretName: {{ $root.Values.auth.tokens.jwksCaSecret | quote }}
    defaultMode: 0440
    items: [{key: "ca.crt", path: "ca.crt"}]
{{- end }}
{{- if $root.Values.tls.internal.enabled }}
- name: "tls-internal"
  secret: {secretName: {{ include "earshot.tls.internal" (dict "root" $root "side" "envoy") | quote }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{- define "earshot.security.envoyMounts" -}}
{{- $root := .root -}}
{{- if $root.Values.auth.apiKeys.enabled }}
- {name: "api-keys", mountPath: "/etc/earshot/keys", readOnly: true}
{{- end }}
{{- if $root.Values.tls.edge.enabled }}
- {name: "tls-edge", mountPath: "/etc/earshot/tls/edge", readOnly: true}
{{- end }}
{{- if $root.Values.auth.certificates.enabled }}
- {name: "tls-callers", mountPath: "/etc/earshot/tls/callers", readOnly: true}
{{- end }}
{{- if include "earshot.jwksCa" $root }}
- {name: "tls-jwks", mountPath: "/etc/earshot/tls/jwks", readOnly: true}
{{- end }}
{{- if $root.Values.tls.internal.enabled }}
- {name: "tls-internal", mountPath: "/etc/earshot/tls/internal", readOnly: true}
{{- end }}
{{- end }}

{{- /* A Secret of a certificate that the chart's own authority has signed; (dict "root" $ "name" NAME "made" CERT "ca" CA). */ -}}
{{- define "earshot.tls.secret" -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ .name | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "earshot.labels" (dict "root" .root "component" "tls") | nindent 4 }}
type: "kubernetes.io/tls"
data:
  tls.crt: {{ .crt | quote }}
  tls.key: {{ .key | quote }}
  ca.crt: {{ .ca | quote }}
{{- end }}

{{- /* cert-manager's, (dict "root" $ "name" NAME "names" LIST "issuer" ISSUERREF) */ -}}
{{- define "earshot.tls.certificate" -}}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: {{ .name | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "earshot.labels" (dict "root" .root "component" "tls") | nindent 4 }}
spec:
  secretName: {{ .name | quote }}
  dnsNames: {{ .names | toJson }}
  usages: ["digital signature", "server auth", "client auth"]
  privateKey: {algorithm: "ECDSA", size: 256, rotationPolicy: "Always"}
  issuerRef:
    {{- toYaml .issuer | nindent 4 }}
{{- end }}

{{- /* Host names of the Service for callers. */ -}}
{{- define "earshot.tls.edgeNames" -}}
{{- $name := include "earshot.fullname" . -}}
{{- $space := .Release.Namespace -}}
{{- concat (list (printf "%s.%s.svc.%s" $name $space .Values.clusterDomain) (printf "%s.%s.svc" $name $space) (printf "%s.%s" $name $space) $name "localhost") .Values.tls.edge.names | toJson -}}
{{- end }}
