{{/* Labels of everything. */}}
{{- define "plaza.labels" -}}
app.kubernetes.io/part-of: plaza
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The identities of the mesh with what is known of each: the table that `cargo mesh generate` writes. */}}
{{- define "plaza.identities" -}}
{{ .Files.Get "files/services.json" }}
{{- end }}

{{/* The image of a service. */}}
{{- define "plaza.image" -}}
{{ .root.Values.image.registry }}/{{ .service }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* What an application may do in its container: nothing. */}}
{{- define "plaza.contained" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities: { drop: [ALL] }
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* Variables of an identity: settings from its ConfigMap, secrets by reference. */}}
{{- define "plaza.env" -}}
{{- $own := index .root.Values.services .name | default dict }}
envFrom:
  - configMapRef: { name: {{ .name }} }
env:
  - name: PLAZA_INSTANCE
    valueFrom: { fieldRef: { fieldPath: metadata.name } }
  {{- range .identity.secrets }}
  - name: {{ .variable }}
    valueFrom: { secretKeyRef: { name: {{ $.root.Values.secrets }}, key: {{ .key }} } }
  {{- end }}
  {{- if .identity.consul }}
  - name: CONSUL_HTTP_TOKEN
    valueFrom: { secretKeyRef: { name: {{ .root.Values.secrets }}, key: CONSUL_HTTP_TOKEN_{{ .name | upper }}, optional: true } }
  {{- end }}
  {{- range $variable, $value := $own.env | default dict }}
  - name: {{ $variable }}
    value: {{ $value | quote }}
  {{- end }}
{{- end }}

{{/* Settings of an identity, as its ConfigMap has them. */}}
{{- define "plaza.settings" -}}
PLAZA_ENV: {{ .root.Values.environment }}
PLAZA_REGISTRATION: "off"
RUST_LOG: {{ .root.Values.logFilter | quote }}
HTTP_ADDR: 127.0.0.1:{{ .identity.port }}
ADMIN_ADDR: 0.0.0.0:{{ .identity.adminPort }}
DATA_DIR: /tmp
CONSUL_HTTP_ADDR: {{ .root.Values.consul }}
DRAIN_SECONDS: {{ .root.Values.drain.application | quote }}
{{- with .root.Values.telemetry.otlp }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . }}
{{- end }}
{{- with .root.Values.allowedOrigins }}
ALLOWED_ORIGINS: {{ join "," . | quote }}
{{- end }}
{{- with .identity.upstreams }}
UPSTREAM_URLS: {{ range $index, $peer := . }}{{ if $index }},{{ end }}{{ $peer.name }}=http://127.0.0.1:{{ $peer.port }}{{ end }}
{{- end }}
{{- if .identity.mail }}
SMTP_HOST: {{ .root.Values.mail.host }}
SMTP_PORT: {{ .root.Values.mail.port | quote }}
SMTP_TLS: {{ .root.Values.mail.tls }}
MAIL_FROM: {{ .root.Values.mail.from | quote }}
{{- end }}
{{- range $variable, $value := .identity.env }}
{{ $variable }}: {{ $value | quote }}
{{- end }}
{{- end }}
