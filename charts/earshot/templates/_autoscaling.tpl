{{- /* Each takes (dict "root" $ "component" NAME). */ -}}
{{- define "earshot.autoscaling.hpa" -}}
{{- $values := index .root.Values .component -}}
{{- $scaling := $values.autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "earshot.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: "apps/v1", kind: "Deployment", name: {{ include "earshot.component" . | quote }}}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  metrics:
    {{- if eq $scaling.metric "cpu" }}
    - type: "ContainerResource"
      containerResource:
        name: "cpu"
        container: {{ .component | quote }}
        target: {type: "AverageValue", averageValue: {{ $scaling.cpu | quote }}}
    {{- else }}
    - type: "Pods"
      pods:
        metric: {name: "earshot_admitted_requests"}
        target: {type: "AverageValue", averageValue: {{ include "earshot.autoscaling.work" . | quote }}}
    {{- end }}
  behavior:
    {{- toYaml $scaling.behavior | nindent 4 }}
{{- end }}

{{- define "earshot.autoscaling.keda" -}}
{{- $scaling := (index .root.Values .component).autoscaling -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "earshot.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {name: {{ include "earshot.component" . | quote }}}
  minReplicaCount: {{ $scaling.minReplicas }}
  maxReplicaCount: {{ $scaling.maxReplicas }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- toYaml $scaling.behavior | nindent 8 }}
  triggers:
    - type: "prometheus"
      metricType: "AverageValue"
      metadata:
        serverAddress: {{ $scaling.prometheus | quote }}
        query: {{ printf `sum(earshot_admitted_requests{namespace=%q,pod=~%q})` .root.Release.Namespace (printf "%s-.+" (include "earshot.component" .)) | quote }}
        threshold: {{ include "earshot.autoscaling.work" . | quote }}
{{- end }}

{{- /* What a pod admits is what its workers hold and what may wait for them. */ -}}
{{- define "earshot.autoscaling.work" -}}
{{- $values := index .root.Values .component -}}
{{- $settings := $values.settings -}}
{{- $workers := mul $settings.workers (len (splitList "," $settings.device)) -}}
{{- $admitted := add (mul $workers $settings.maxBatch) $settings.queue -}}
{{- if $values.autoscaling.work -}}
{{- $values.autoscaling.work -}}
{{- else -}}
{{- max 1 (div (mul $admitted 7) 10) -}}
{{- end -}}
{{- end }}
