{{- define "rtc.name" -}}
{{- default (printf "%s-%s" .Release.Name .Chart.Name) .Values.fullnameOverride | trunc 52 | trimAll "-" -}}
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

{{/* Of another type than RollingUpdate, Kubernetes refuses the fields of that one, which are a default here. */}}
{{- define "rtc.strategy" -}}
{{- if eq (default "RollingUpdate" .type) "RollingUpdate" }}{{ toYaml . }}{{ else }}{{ toYaml (omit . "rollingUpdate") }}{{ end -}}
{{- end -}}

{{/* Whether the chart sets REDIS_URL. */}}
{{- define "rtc.setsRedis" -}}
{{- if or .Values.redis.url .Values.redis.existingSecret }}yes{{ end -}}
{{- end -}}

{{- define "rtc.hasRedis" -}}
{{- $redis := dig "redis" (dict) (default (dict) .Values.config) -}}
{{- $isInEnv := false -}}
{{- range .Values.env }}{{ if has .name (list "REDIS_URL" "RTC_REDIS_URL" "RTC_REDIS_SENTINELS") }}{{ $isInEnv = true }}{{ end }}{{ end -}}
{{- if or (include "rtc.setsRedis" .) $redis.url $redis.sentinels $isInEnv }}yes{{ end -}}
{{- end -}}

{{- define "rtc.hasAutoscaler" -}}
{{- if or .Values.autoscaling.enabled .Values.keda.enabled }}yes{{ end -}}
{{- end -}}

{{/* Combinations that would lose messages or fail later. Each is refused with the value to change. */}}
{{- define "rtc.check" -}}
{{- $values := .Values -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" (include "rtc.name" .)) }}{{ fail (printf "fullnameOverride: %q is no name of a Service: lower-case letters, digits and -, a letter first" (include "rtc.name" .)) }}{{ end -}}
{{- if not (has $values.kind (list "StatefulSet" "Deployment")) }}{{ fail "kind: must be StatefulSet or Deployment" }}{{ end -}}
{{- if and (not (include "rtc.hasRedis" .)) (or (include "rtc.hasAutoscaler" .) (gt (int $values.replicaCount) 1)) }}{{ fail "replicaCount: several replicas need Redis: set redis.url or redis.existingSecret, or replicaCount: 1. Without it, each replica would have its own topics" }}{{ end -}}
{{- $needed := add (int $values.lifecycle.preStopSleepSecs) (int $values.drain.delaySecs) (int $values.drain.windowSecs) (int $values.drain.timeoutSecs) 5 -}}
{{- if lt (int $values.terminationGracePeriodSeconds) (int $needed) }}{{ fail (printf "terminationGracePeriodSeconds: at least %d, which is lifecycle.preStopSleepSecs + drain.delaySecs + drain.windowSecs + drain.timeoutSecs + 5, or pods are killed while clients are still served" $needed) }}{{ end -}}
{{- if and $values.jwtSecret.value (lt (len $values.jwtSecret.value) 32) }}{{ fail "jwtSecret.value: at least 32 bytes; make one with: openssl rand -base64 32" }}{{ end -}}
{{- if and $values.jwtSecret.value $values.existingSecret }}{{ fail "jwtSecret.value, existingSecret: set one of them" }}{{ end -}}
{{- include "rtc.checkOwned" . -}}
{{- include "rtc.checkScaling" . -}}
{{- include "rtc.checkWays" . -}}
{{- end -}}

{{/* Pods get these settings as variables, which win over config. In config, or twice among the variables, they would be without effect. */}}
{{- define "rtc.checkOwned" -}}
{{- $values := .Values -}}
{{- $config := default (dict) $values.config -}}
{{- $owned := dict
  "server.port" "the pods listen on 8081; the port of clients is service.port"
  "server.environment" "it is production"
  "server.replica_id" "it is the name of the pod"
  "server.drain_delay_secs" "set drain.delaySecs"
  "server.drain_window_secs" "set drain.windowSecs"
  "server.shutdown_timeout_ms" "set drain.timeoutSecs"
  "auth.jwt_secret" "set existingSecret, or jwtSecret.value" -}}
{{- if include "rtc.setsRedis" . }}{{ $_ := set $owned "redis.url" "set redis.url or redis.existingSecret, or make both empty" }}{{ end -}}
{{- range $setting, $remedy := $owned }}
  {{- $path := splitList "." $setting }}
  {{- if hasKey (dig (first $path) (dict) $config) (last $path) }}{{ fail (printf "config.%s: %s" $setting $remedy) }}{{ end -}}
{{- end -}}
{{- $variables := dict
  "PORT" "server.port" "RTC_SERVER_PORT" "server.port" "NODE_ENV" "server.environment" "REPLICA_ID" "server.replica_id" "JWT_SECRET" "auth.jwt_secret"
  "RTC_SERVER_DRAIN_DELAY_SECS" "server.drain_delay_secs" "RTC_SERVER_DRAIN_WINDOW_SECS" "server.drain_window_secs"
  "RTC_SERVER_SHUTDOWN_TIMEOUT_MS" "server.shutdown_timeout_ms" -}}
{{- if include "rtc.setsRedis" . }}{{ $_ := set $variables "REDIS_URL" "redis.url" }}{{ end -}}
{{- range $values.env }}
  {{- if hasKey $variables .name }}{{ fail (printf "env, %s: %s" .name (get $owned (get $variables .name))) }}{{ end -}}
  {{- if and $values.config (eq .name "RTC_CONFIG") }}{{ fail "env, RTC_CONFIG: it names the file of config" }}{{ end -}}
{{- end -}}
{{- $labels := fromYaml (include "rtc.labels" .) -}}
{{- range $place, $given := dict "podLabels" $values.podLabels "metrics.serviceMonitor.labels" $values.metrics.serviceMonitor.labels "metrics.prometheusRule.labels" $values.metrics.prometheusRule.labels }}
  {{- range $label, $_ := $given }}{{ if hasKey $labels $label }}{{ fail (printf "%s, %s: the chart sets it" $place $label) }}{{ end }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "rtc.checkScaling" -}}
{{- $values := .Values -}}
{{- if and $values.autoscaling.enabled $values.keda.enabled }}{{ fail "autoscaling.enabled, keda.enabled: enable one of them, or they undo each other's work" }}{{ end -}}
{{- range $name := list "autoscaling" "keda" }}
  {{- $scaling := get $values $name }}
  {{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}{{ fail (printf "%s.minReplicas: more than maxReplicas" $name) }}{{ end -}}
{{- end -}}
{{- if and $values.autoscaling.enabled (not (or $values.autoscaling.targetCPUUtilizationPercentage $values.autoscaling.targetMemoryUtilizationPercentage $values.autoscaling.targetConnections $values.autoscaling.targetEventLoopLagMs)) }}{{ fail "autoscaling: set one of its targets" }}{{ end -}}
{{- if and $values.keda.enabled (not (or $values.keda.connections $values.keda.eventLoopLagMs)) }}{{ fail "keda: set connections or eventLoopLagMs" }}{{ end -}}
{{- end -}}

{{/* How clients get in. Without paths, a route would publish all of them, /admin too. */}}
{{- define "rtc.checkWays" -}}
{{- $values := .Values -}}
{{- $gateway := $values.gateway -}}
{{- if and $values.ingress.enabled (empty $values.ingress.hosts) }}{{ fail "ingress.hosts: name a host; '' for all" }}{{ end -}}
{{- if and $values.ingress.enabled (empty $values.ingress.paths) }}{{ fail "ingress.paths: name the paths of clients" }}{{ end -}}
{{- if and $gateway.httpRoute.enabled (empty $gateway.httpRoute.paths) }}{{ fail "gateway.httpRoute.paths: name the paths of clients" }}{{ end -}}
{{- if and $gateway.httpRoute.enabled (not $gateway.create) (empty $gateway.httpRoute.parentRefs) }}{{ fail "gateway.httpRoute.parentRefs: name a Gateway, or set gateway.create" }}{{ end -}}
{{- if and $gateway.create (not $gateway.className) }}{{ fail "gateway.className: name the GatewayClass of the Gateway" }}{{ end -}}
{{- if and $gateway.create (empty $gateway.listeners) }}{{ fail "gateway.listeners: name a listener" }}{{ end -}}
{{- end -}}
