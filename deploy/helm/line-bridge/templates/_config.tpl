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

{{- /* A path of the configuration as the pods have it. */ -}}
{{- define "line-bridge.path" -}}
{{- $path := toString . | trim -}}
{{- clean (ternary $path (printf "/etc/line-bridge/%s" $path) (hasPrefix "/" $path)) -}}
{{- end -}}

{{- /* What the pods don't have, so that no bridge could start there, or none could become ready; as far
as the configuration names it: a ${NAME} is known to the pods alone, and what an image or an injector (which
annotations and labels ask for) brings, is not known here. What has another form is for the bridge to refuse. */ -}}
{{- define "line-bridge.refuseWhatCannotStart" -}}
{{- $values := .Values -}}
{{- $config := include "line-bridge.config" . | fromYaml -}}
{{- $injected := or $values.podAnnotations $values.podLabels -}}
{{- $token := ($config.line | default dict).token -}}
{{- if not (kindIs "map" $token) -}}{{- $token = dict -}}{{- end -}}
{{- $mounted := "/var/run/secrets/line/token" -}}
{{- with $token.env -}}
{{- $given := merge dict ($values.env | default dict) ($values.secretEnv | default dict) -}}
{{- if not (or (hasKey $given (toString .)) (contains "${" (toString .)) $injected) -}}
{{- printf "line.token.env: no pod has the variable %v; name it in secretEnv, or say file: %s, where the Secret token.secret is mounted" . $mounted | fail -}}
{{- end -}}
{{- end -}}
{{- with $token.file -}}
{{- $file := include "line-bridge.path" . -}}
{{- $kafka := and $values.kafkaCertificates (hasPrefix "/var/run/secrets/kafka/" $file) -}}
{{- if not (or (eq $file $mounted) $kafka (contains "${" (toString .)) $injected) -}}
{{- printf "line.token.file: no pod has the file %s; say %s, where the Secret token.secret is mounted" $file $mounted | fail -}}
{{- end -}}
{{- end -}}
{{- $topics := $config.topics -}}
{{- if not (kindIs "map" $topics) -}}{{- $topics = dict -}}{{- end -}}
{{- range $topic, $of := $topics -}}
{{- $schema := "" -}}
{{- if kindIs "map" $of -}}{{- $schema = $of.schema -}}{{- end -}}
{{- if and $schema (kindIs "string" $schema) (not (contains "${" $schema)) -}}
{{- $file := include "line-bridge.path" $schema -}}
{{- $name := trimPrefix "/etc/line-bridge/schemas/" $file -}}
{{- if and (hasPrefix "/etc/line-bridge/" $file) (not (hasKey $values.schemas $name)) -}}
{{- $given := keys $values.schemas | sortAlpha | join ", " | default "none" -}}
{{- printf "topics.%s.schema: no pod has the file %s; say schemas/NAME, and give it by --set-file 'schemas.NAME\\.json=FILE', with the backslash (given are: %s)" $topic $file $given | fail -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $listen := ($config.admin | default dict).listen | default "" -}}
{{- if regexMatch "^(127\\.|\\[::1\\]|\\[::ffff:127\\.)" $listen -}}
{{- printf "admin.listen: the probes of Kubernetes don't reach %s; leave it out, or name 0.0.0.0 or [::] and a port" $listen | fail -}}
{{- end -}}
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
