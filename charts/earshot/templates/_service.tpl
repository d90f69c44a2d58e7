{{- /*
What the two services have in common. Each takes
(dict "root" $ "component" "stt" "module" "earshot.stt" "service" "earshot.v1.SpeechToText")
*/ -}}
{{- define "earshot.service.deployment" -}}
{{- $values := index .root.Values .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "earshot.metadata" . | nindent 2 }}
spec:
  {{- if not $values.autoscaling.enabled }}
  replicas: {{ $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    {{- include "earshot.rollout" . | nindent 4 }}
  selector:
    matchLabels:
      {{- include "earshot.selector" . | nindent 6 }}
  template:
    metadata:
      {{- include "earshot.podMetadata" . | nindent 6 }}
    spec:
      {{- include "earshot.podSpec" . | nindent 6 }}
      # To be seen as not ready, to finish what is at work, and to end the workers.
      terminationGracePeriodSeconds: {{ add (ceil $values.settings.drainSeconds) (ceil $values.settings.graceSeconds) 10 }}
      {{- if eq $values.modelSource.type "download" }}
      initContainers:
        {{- include "earshot.service.download" . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .component | quote }}
          image: {{ include "earshot.servicesImage" .root }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy | quote }}
          args: [{{ .module | quote }}]
          env:
            {{- include "earshot.service.env" . | nindent 12 }}
          ports:
            - {name: "grpc", containerPort: 50051, protocol: "TCP"}
            {{- if .root.Values.tls.internal.enabled }}
            - {name: "health", containerPort: 50052, protocol: "TCP"}
            {{- end }}
            - {name: "metrics", containerPort: 9464, protocol: "TCP"}
          startupProbe:
            grpc: {port: {{ ternary 50052 50051 .root.Values.tls.internal.enabled }}, service: {{ .service | quote }}}
            periodSeconds: 1
            timeoutSeconds: 3
            failureThreshold: {{ $values.startupSeconds }}
          readinessProbe:
            # Until the caches of the DNS have its address, and Envoy, which asks every 1.2 s at most.
            initialDelaySeconds: {{ add .root.Values.dnsSeconds 2 }}
            grpc: {port: {{ ternary 50052 50051 .root.Values.tls.internal.enabled }}, service: {{ .service | quote }}}
            periodSeconds: 2
            timeoutSeconds: 3
          livenessProbe:
            grpc: {port: {{ ternary 50052 50051 .root.Values.tls.internal.enabled }}, service: "liveness"}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          resources:
            {{- include "earshot.service.resources" . | nindent 12 }}
          securityContext:
            {{- include "earshot.containerSecurity" . | nindent 12 }}
          terminationMessagePolicy: "FallbackToLogsOnError"
          volumeMounts:
            {{- include "earshot.service.mounts" . | nindent 12 }}
      volumes:
        - name: "tmp"
          emptyDir: {}
        - name: "resume-keys"
          secret: {secretName: {{ include "earshot.resumeKeys" .root | quote }}, defaultMode: 0440}
        {{- if .root.Values.tls.internal.enabled }}
        - name: "tls"
          secret: {secretName: {{ include "earshot.tls.internal" (dict "root" .root "side" "services") | quote }}, defaultMode: 0440}
        {{- end }}
        {{- with include "earshot.allowed" .root }}
        - name: "allowed"
          configMap: {name: {{ . | quote }}}
        {{- end }}
        {{- include "earshot.service.models" . | nindent 8 }}
{{- end }}

{{- /* Every setting of the service, and then what the user adds. */ -}}
{{- define "earshot.service.env" -}}
{{- $values := index .root.Values .component -}}
{{- $settings := deepCopy $values.settings -}}
{{- $_ := mergeOverwrite $settings (dict "host" "0.0.0.0" "port" 50051 "metricsPort" 9464 "cache" "/models" "resumeKeysFile" "/etc/earshot/resume/keys" "engine" $values.engine "model" $values.model) -}}
{{- $inside := .root.Values.tls.internal.enabled -}}
{{- $_ := mergeOverwrite $settings (dict "tlsFolder" (ternary "/etc/earshot/tls" "" $inside) "healthPort" (ternary 50052 0 $inside)) -}}
{{- $_ := set $settings "modelsFile" (ternary "/etc/earshot/allowed/models.json" "" (ne "" (include "earshot.allowed" .root))) -}}
{{- $_ := mergeOverwrite $settings (fromYaml (include "earshot.quotas" .root.Values.quotas)) -}}
{{- if $values.gpu.enabled -}}
{{- $_ := mergeOverwrite $settings (dict "device" "cuda" "workers" 1) -}}
{{- end -}}
{{- if eq .component "classification" -}}
{{- $name := include "earshot.fullname" .root -}}
{{- $envoy := include "earshot.host" (dict "root" .root "service" (ternary (printf "%s-inner" $name) $name $inside)) -}}
{{- $_ := set $settings "speechTarget" (printf "%s:%v" $envoy (ternary 8081 (int .root.Values.envoy.service.port) $inside)) -}}
{{- end -}}
- name: EARSHOT_REPLICA
  valueFrom:
    fieldRef: {fieldPath: "metadata.name"}
{{- range $name, $value := $settings }}
- name: {{ printf "EARSHOT_%s" (snakecase $name | upper) }}
  value: {{ include "earshot.scalar" $value | quote }}
{{- end }}
- name: EARSHOT_QUOTA_REDIS_URL
  {{- if .root.Values.quotas.redis.secret }}
  valueFrom:
    secretKeyRef: {name: {{ .root.Values.quotas.redis.secret | quote }}, key: "url"}
  {{- else }}
  value: ""
  {{- end }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* What both services are told of quotas and prices; tables as JSON. */ -}}
{{- define "earshot.quotas" -}}
quotas: {{ include "earshot.table" .limits | quote }}
prices: {{ include "earshot.table" .prices | quote }}
quotaRedisSeconds: {{ .redis.seconds }}
quotaWhenAway: {{ .whenAway | quote }}
currency: {{ .currency | quote }}
usageDays: {{ .usageDays }}
operators: {{ .operators | quote }}
{{- end }}

{{- /* A table of tables as JSON, its inner names as the services spell them. */ -}}
{{- define "earshot.table" -}}
{{- $table := dict -}}
{{- range $name, $entry := . -}}
{{- $spelled := dict -}}
{{- range $key, $value := $entry }}{{ $_ := set $spelled (snakecase $key) $value }}{{ end -}}
{{- $_ := set $table $name $spelled -}}
{{- end -}}
{{- toJson $table -}}
{{- end }}

{{- /* A number as one writes it: a large one is a float here, and would become 1e+06. */ -}}
{{- define "earshot.scalar" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end }}

{{- define "earshot.service.resources" -}}
{{- $values := index .root.Values .component -}}
{{- $resources := deepCopy $values.resources -}}
{{- $gpu := $values.gpu -}}
{{- if $gpu.enabled -}}
{{- $_ := set $resources "limits" (merge (dict $gpu.resource 1) ($resources.limits | default dict)) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end }}

{{- /* Weights from elsewhere lie in /models. */ -}}
{{- define "earshot.service.mounts" -}}
{{- $source := (index .root.Values .component).modelSource -}}
- name: "tmp"
  mountPath: "/tmp"
- name: "resume-keys"
  mountPath: "/etc/earshot/resume"
  readOnly: true
{{- if .root.Values.tls.internal.enabled }}
- name: "tls"
  mountPath: "/etc/earshot/tls"
  readOnly: true
{{- end }}
{{- if include "earshot.allowed" .root }}
- name: "allowed"
  mountPath: "/etc/earshot/allowed"
  readOnly: true
{{- end }}
{{- if ne $source.type "image" }}
- name: "models"
  mountPath: "/models"
  {{- if eq $source.type "claim" }}
  readOnly: {{ $source.claim.readOnly }}
  {{- with $source.claim.subPath }}
  subPath: {{ . | quote }}
  {{- end }}
  {{- else if eq $source.type "imageVolume" }}
  readOnly: true
  {{- end }}
{{- end }}
{{- end }}

{{- define "earshot.service.models" -}}
{{- $source := (index .root.Values .component).modelSource -}}
{{- if eq $source.type "download" -}}
- name: "models"
  emptyDir: {}
{{- else if eq $source.type "claim" -}}
- name: "models"
  persistentVolumeClaim: {claimName: {{ $source.claim.name | quote }}}
{{- else if eq $source.type "imageVolume" -}}
- name: "models"
  image: {reference: {{ $source.imageVolume.reference | quote }}, pullPolicy: {{ $source.imageVolume.pullPolicy | quote }}}
{{- end -}}
{{- end }}

{{- define "earshot.service.download" -}}
{{- $values := index .root.Values .component -}}
- name: "download"
  image: {{ include "earshot.servicesImage" .root }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy | quote }}
  args: ["earshot.cli", "models", "pull", {{ $values.model | quote }}, "--kind", {{ $values.engine | quote }}]
  env:
    - name: EARSHOT_CACHE
      value: "/models"
    {{- with $values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  resources:
    {{- toYaml $values.resources | nindent 4 }}
  securityContext:
    {{- include "earshot.containerSecurity" . | nindent 4 }}
  terminationMessagePolicy: "FallbackToLogsOnError"
  volumeMounts:
    {{- include "earshot.service.mounts" . | nindent 4 }}
{{- end }}

{{- /* Every pod by its own address. Not ready ones too: Envoy looks at their health itself, every second. */ -}}
{{- define "earshot.service.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "earshot.metadata" . | nindent 2 }}
spec:
  type: "ClusterIP"
  clusterIP: "None"
  publishNotReadyAddresses: true
  selector:
    {{- include "earshot.selector" . | nindent 4 }}
  ports:
    - {name: "grpc", port: 50051, targetPort: "grpc", protocol: "TCP", appProtocol: "kubernetes.io/h2c"}
{{- end }}

{{- define "earshot.service.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "earshot.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "earshot.selector" . | nindent 6 }}
  policyTypes: ["Ingress", "Egress"]
  ingress:
    - from:
        - podSelector:
            matchLabels:
              {{- include "earshot.selector" (dict "root" .root "component" "envoy") | nindent 14 }}
      ports:
        - {port: "grpc", protocol: "TCP"}
    {{- include "earshot.scraped" .root | nindent 4 }}
  egress:
    {{- include "earshot.dns" . | nindent 4 }}
    {{- if eq .component "classification" }}
    - to:
        - podSelector:
            matchLabels:
              {{- include "earshot.selector" (dict "root" .root "component" "envoy") | nindent 14 }}
      ports:
        - {port: {{ ternary "inner" "edge" .root.Values.tls.internal.enabled | quote }}, protocol: "TCP"}
    {{- end }}
    {{- with (index .root.Values .component).settings.otlpEndpoint }}
    # Spans, to their collector.
    - ports:
        - {port: {{ include "earshot.traces.port" . }}, protocol: "TCP"}
    {{- end }}
    {{- if .root.Values.quotas.redis.secret }}
    - ports:
        - {port: {{ .root.Values.quotas.redis.port }}, protocol: "TCP"}
      {{- with .root.Values.networkPolicy.redis }}
      to:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- end }}
    {{- if eq (index .root.Values .component).modelSource.type "download" }}
    # Weights are published on the internet.
    - ports:
        - {port: 443, protocol: "TCP"}
    {{- end }}
{{- end }}
