{{/* A probe with the path of the service, unless it has another handler. */}}
{{- define "rtc.probe" -}}
{{- if not (or .probe.httpGet .probe.exec .probe.tcpSocket .probe.grpc) -}}
httpGet:
  path: {{ .path }}
  port: http
{{ end -}}
{{ toYaml .probe }}
{{- end -}}

{{/* The pod, the same in a StatefulSet and in a Deployment. */}}
{{- define "rtc.pod" -}}
metadata:
  labels:
    {{- include "rtc.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ toToml (default (dict) .Values.config) | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "rtc.serviceAccount" . }}
  automountServiceAccountToken: false
  # A Service named rtc would add variables such as RTC_PORT, which the service refuses as unknown settings.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: realtime-communication
      image: {{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: 8081
      env:
        - name: NODE_ENV
          value: production
        - name: REPLICA_ID
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        - name: JWT_SECRET
          valueFrom:
            secretKeyRef:
              name: {{ default .Values.jwtSecret.name .Values.existingSecret }}
              key: {{ .Values.jwtSecret.key }}
        {{- if .Values.redis.existingSecret }}
        - name: REDIS_URL
          valueFrom:
            secretKeyRef:
              name: {{ .Values.redis.existingSecret }}
              key: {{ .Values.redis.existingSecretKey }}
        {{- else if .Values.redis.url }}
        - name: REDIS_URL
          value: {{ .Values.redis.url | quote }}
        {{- end }}
        - name: RTC_SERVER_DRAIN_DELAY_SECS
          value: {{ .Values.drain.delaySecs | quote }}
        - name: RTC_SERVER_DRAIN_WINDOW_SECS
          value: {{ .Values.drain.windowSecs | quote }}
        - name: RTC_SERVER_SHUTDOWN_TIMEOUT_MS
          value: {{ mul (int .Values.drain.timeoutSecs) 1000 | quote }}
        {{- if .Values.config }}
        - name: RTC_CONFIG
          value: /etc/realtime-communication/rtc.toml
        {{- end }}
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if .Values.lifecycle.preStop }}
      lifecycle:
        preStop:
          {{- toYaml .Values.lifecycle.preStop | nindent 10 }}
      {{- else if gt (int .Values.lifecycle.preStopSleepSecs) 0 }}
      lifecycle:
        preStop:
          exec:
            command: [sleep, {{ .Values.lifecycle.preStopSleepSecs | quote }}]
      {{- end }}
      {{- with .Values.startupProbe }}
      startupProbe:
        {{- include "rtc.probe" (dict "probe" . "path" "/health/live") | nindent 8 }}
      {{- end }}
      {{- with .Values.livenessProbe }}
      livenessProbe:
        {{- include "rtc.probe" (dict "probe" . "path" "/health/live") | nindent 8 }}
      {{- end }}
      {{- with .Values.readinessProbe }}
      readinessProbe:
        {{- include "rtc.probe" (dict "probe" . "path" "/health/ready") | nindent 8 }}
      {{- end }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if or .Values.config .Values.extraVolumeMounts }}
      volumeMounts:
        {{- if .Values.config }}
        - name: config
          mountPath: /etc/realtime-communication
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or .Values.config .Values.extraVolumes }}
  volumes:
    {{- if .Values.config }}
    - name: config
      configMap:
        name: {{ include "rtc.name" . }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range .Values.topologySpreadConstraints }}
    - {{ toYaml . | nindent 6 | trim }}
      {{- if not .labelSelector }}
      labelSelector:
        matchLabels:
          {{- include "rtc.selector" $ | nindent 10 }}
      {{- end }}
    {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
{{- end -}}
