{{- /* The configuration as a map, whichever way it was given. */ -}}
{{- define "line-bridge.config" -}}
{{- if not (or .Values.config .Values.existingConfigMap) -}}
{{- fail "config: give the bridge's configuration, as a map or by --set-file config=line-bridge.yaml" -}}
{{- end -}}
{{- if and .Values.restartOnChange .Values.existingConfigMap -}}
{{- fail "restartOnChange: the chart does not see changes of an existingConfigMap" -}}
{{- end -}}
{{- if kindIs "string" .Values.config -}}{{ .Values.config }}{{- else -}}{{ toYaml .Values.config }}{{- end -}}
{{- end -}}

{{- /* A duration of the configuration, such as 1h30m, in seconds, rounded up. */ -}}
{{- define "line-bridge.seconds" -}}
{{- $of := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- $millis := 0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h|d)" . -1 -}}
{{- $number := regexFind "^[0-9]+" . -}}
{{- $millis = add $millis (mul (int64 $number) (get $of (trimPrefix $number .))) -}}
{{- end -}}
{{- div (add $millis 999) 1000 -}}
{{- end -}}

{{- /* The drain, leaving the group (5 s), and patience for the last log lines. */ -}}
{{- define "line-bridge.grace" -}}
{{- $config := include "line-bridge.config" . | fromYaml -}}
{{- $drain := ($config.delivery | default dict).drain_timeout | default .Values.drainTimeout | default "25s" -}}
{{- if not (regexMatch "^([0-9]+(ms|s|m|h|d))+$" (.Values.drainTimeout | default $drain)) -}}
{{- fail "drainTimeout: name it, for delivery.drain_timeout does not" -}}
{{- end -}}
{{- add (max (include "line-bridge.seconds" $drain) (include "line-bridge.seconds" .Values.drainTimeout)) 15 -}}
{{- end -}}

{{- define "line-bridge.adminPort" -}}
{{- $config := include "line-bridge.config" . | fromYaml -}}
{{- $port := regexFind ":[0-9]+$" (($config.admin | default dict).listen | default "0.0.0.0:9090") -}}
{{- if not (or .Values.adminPort $port) -}}
{{- fail "adminPort: name it, for admin.listen does not" -}}
{{- end -}}
{{- .Values.adminPort | default (trimPrefix ":" $port) -}}
{{- end -}}

{{- /* The ports of the brokers, as far as the configuration names them. */ -}}
{{- define "line-bridge.kafkaPorts" -}}
{{- $config := include "line-bridge.config" . | fromYaml -}}
{{- $ports := .Values.networkPolicy.kafka.ports -}}
{{- if not $ports -}}
{{- range splitList "," (($config.kafka | default dict).brokers | default "") -}}
{{- $port := regexFind "[0-9]+$" . -}}
{{- if $port -}}{{- $ports = append $ports (int $port) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $ports -}}
{{- fail "networkPolicy.kafka.ports: name the brokers' ports, for kafka.brokers does not" -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{- define "line-bridge.apiPorts" -}}
{{- $config := include "line-bridge.config" . | fromYaml -}}
{{- $url := urlParse (($config.line | default dict).base_url | default "https://api.klink.cloud") -}}
{{- $own := ternary "80" "443" (eq $url.scheme "http") -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default $own -}}
{{- .Values.networkPolicy.api.ports | default (list (int $port)) | toJson -}}
{{- end -}}
