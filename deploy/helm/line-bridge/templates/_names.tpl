{{- define "line-bridge.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "line-bridge.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* The pods of the Deployment, without that of `helm test`. */ -}}
{{- define "line-bridge.bridges" -}}
{{ include "line-bridge.selector" . }}
app.kubernetes.io/component: bridge
{{- end -}}

{{- define "line-bridge.labels" -}}
{{ include "line-bridge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "line-bridge.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* What Prometheus calls the scraped pods. */ -}}
{{- define "line-bridge.job" -}}
{{- .Values.prometheusRule.job | default (printf "%s/%s" .Release.Namespace (include "line-bridge.name" .)) -}}
{{- end -}}
