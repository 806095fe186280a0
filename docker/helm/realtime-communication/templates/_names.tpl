{{- define "rtc.name" -}}
{{- default (printf "%s-%s" .Release.Name .Chart.Name) .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "rtc.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rtc.labels" -}}
{{ include "rtc.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "rtc.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "rtc.name" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end -}}
{{- end -}}

{{- define "rtc.hasRedis" -}}
{{- if or .Values.redis.url .Values.redis.existingSecret (dig "redis" "url" "" .Values.config) }}yes{{ end -}}
{{- end -}}

{{- define "rtc.hasAutoscaler" -}}
{{- if or .Values.autoscaling.enabled .Values.keda.enabled }}yes{{ end -}}
{{- end -}}

{{/* Combinations that would lose messages or fail later. Each is refused with the value to change. */}}
{{- define "rtc.check" -}}
{{- $values := .Values -}}
{{- if not (has $values.kind (list "StatefulSet" "Deployment")) }}{{ fail "kind: must be StatefulSet or Deployment" }}{{ end -}}
{{- if and $values.autoscaling.enabled $values.keda.enabled }}{{ fail "autoscaling.enabled, keda.enabled: enable one of them, or they undo each other's work" }}{{ end -}}
{{- if and (not (include "rtc.hasRedis" .)) (or (include "rtc.hasAutoscaler" .) (gt (int $values.replicaCount) 1)) }}{{ fail "replicaCount: several replicas need Redis: set redis.url or redis.existingSecret, or replicaCount: 1. Without it, each replica would have its own topics" }}{{ end -}}
{{- $needed := add (int $values.lifecycle.preStopSleepSecs) (int $values.drain.delaySecs) (int $values.drain.windowSecs) (int $values.drain.timeoutSecs) 5 -}}
{{- if lt (int $values.terminationGracePeriodSeconds) (int $needed) }}{{ fail (printf "terminationGracePeriodSeconds: at least %d, which is lifecycle.preStopSleepSecs + drain.delaySecs + drain.windowSecs + drain.timeoutSecs + 5, or pods are killed while clients are still served" $needed) }}{{ end -}}
{{- if and $values.autoscaling.enabled (not (or $values.autoscaling.targetCPUUtilizationPercentage $values.autoscaling.targetMemoryUtilizationPercentage $values.autoscaling.targetConnections $values.autoscaling.targetEventLoopLagMs)) }}{{ fail "autoscaling: set one of its targets" }}{{ end -}}
{{- if and $values.gateway.httpRoute.enabled (not $values.gateway.create) (empty $values.gateway.httpRoute.parentRefs) }}{{ fail "gateway.httpRoute.parentRefs: name a Gateway, or set gateway.create" }}{{ end -}}
{{- if and $values.gateway.create (not $values.gateway.className) }}{{ fail "gateway.className: name the GatewayClass of the Gateway" }}{{ end -}}
{{- if and $values.jwtSecret.value (lt (len $values.jwtSecret.value) 32) }}{{ fail "jwtSecret.value: at least 32 bytes; make one with: openssl rand -base64 32" }}{{ end -}}
{{- end -}}
