{{- /* What the Deployment's pods and that of `helm test` have in common. */ -}}
{{- define "line-bridge.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
{{- with .Values.runAsUser }}
  runAsUser: {{ int64 . }}
  runAsGroup: {{ int64 . }}
  fsGroup: {{ int64 . }}
{{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "line-bridge.container" -}}
image: {{ include "line-bridge.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  - name: LINE_BRIDGE_CONFIG
    value: /etc/line-bridge/line-bridge.yaml
{{- range $name, $value := .Values.env }}
  - name: {{ $name }}
    value: {{ $value | quote }}
{{- end }}
{{- range $name, $from := .Values.secretEnv }}
  - name: {{ $name }}
    valueFrom:
      secretKeyRef: {name: {{ $from.secret }}, key: {{ $from.key }}}
{{- end }}
{{- /* No subPath: what is mounted by one is never updated. */}}
volumeMounts:
  - name: configuration
    mountPath: /etc/line-bridge
    readOnly: true
  - name: token
    mountPath: /var/run/secrets/line
    readOnly: true
{{- if .Values.kafkaCertificates }}
  - name: kafka-certificates
    mountPath: /var/run/secrets/kafka
    readOnly: true
{{- end }}
{{- end -}}

{{- define "line-bridge.volumes" -}}
{{- $name := include "line-bridge.name" . -}}
{{- /* One volume, so that configuration and schemas change together. */ -}}
- name: configuration
  projected:
    sources:
{{- if .Values.existingConfigMap }}
      - configMap:
          name: {{ .Values.existingConfigMap }}
{{- else }}
      - configMap:
          name: {{ $name }}
          items:
            - {key: line-bridge.yaml, path: line-bridge.yaml}
      - configMap:
          name: {{ $name }}-schemas
          items:
{{- range $file, $_ := .Values.schemas }}
            - {key: {{ $file }}, path: schemas/{{ $file }}}
{{- end }}
{{- end }}
- name: token
  secret:
    secretName: {{ required "token.secret: name the Secret with the API's token" .Values.token.secret }}
    defaultMode: 0440
    items:
      - {key: {{ .Values.token.key }}, path: token}
{{- with .Values.kafkaCertificates }}
- name: kafka-certificates
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end -}}
