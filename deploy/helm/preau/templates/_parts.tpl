{{/* The chart's own data, as a YAML text to be read with fromYaml. */}}
{{- define "preau.data" -}}
{{ .Files.Get "programs.yaml" }}
{{- end }}

{{/* The name of a piece: (list . "auth"). */}}
{{- define "preau.name" -}}
{{ printf "%s-%s" (index . 0).Release.Name (index . 1) | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* What its pods are found by: (list . "auth"). */}}
{{- define "preau.selector" -}}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "preau.labels" -}}
{{- $top := index . 0 -}}
app.kubernetes.io/name: preau
app.kubernetes.io/part-of: preau
app.kubernetes.io/version: {{ $top.Values.image.tag | default $top.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $top.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $top.Chart.Name $top.Chart.Version }}
{{ include "preau.selector" . }}
{{- end }}

{{- define "preau.image" -}}
{{- $top := index . 0 -}}
{{ with $top.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end }}preau-{{ index . 1 }}:{{ $top.Values.image.tag | default $top.Chart.AppVersion }}{{ with index $top.Values.image.digests (index . 1) }}@{{ . }}{{ end }}
{{- end }}

{{/* Where the authority of servers on other machines is, for a pod and for its container. */}}
{{- define "preau.serversCaVolume" -}}
{{- with .Values.serversCa.secret }}
- name: servers
  secret: {secretName: {{ . }}, defaultMode: 0440, items: [{key: {{ $.Values.serversCa.key }}, path: ca.crt}]}
{{- end }}
{{- end }}
{{- define "preau.serversCaMount" -}}
{{- if .Values.serversCa.secret }}
- {name: servers, mountPath: /run/servers, readOnly: true}
{{- end }}
{{- end }}

{{/* The settings of a program: the chart's own, then the town's, the program's last. */}}
{{- define "preau.environment" -}}
{{- $top := index . 0 -}}
{{- $program := index . 1 -}}
{{- $given := dict "HTTP_HOST" "0.0.0.0" "HTTP_PORT" "8080" "METRICS_PORT" "9090" "DRAIN_SECONDS" "5" "PUBLIC_URL" (printf "https://%s" $top.Values.host) -}}
{{- $_ := set $given "AUTH_URL" (printf "http://%s:8080" (include "preau.name" (list $top "auth"))) -}}
{{- if eq $program "gateway" -}}
{{- range $service := (include "preau.data" $top | fromYaml).services -}}
{{- $_ := set $given (printf "%s_URL" ($service | upper | replace "-" "_")) (printf "http://%s:8080" (include "preau.name" (list $top $service))) -}}
{{- end -}}
{{- if $top.Values.crest.configMap -}}
{{- $_ := set $given "TOWN_CREST" (printf "/run/crest/%s" $top.Values.crest.key) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := merge (deepCopy (index $top.Values.settings $program)) $top.Values.settings.every $given }}
- name: {{ $name }}
  value: {{ if kindIs "string" $value }}{{ $value | quote }}{{ else }}{{ $value | toJson | quote }}{{ end }}
{{- end }}
{{- end }}

{{/* The files of /run/secrets: those that are needed, and those that are there. */}}
{{- define "preau.secretFiles" -}}
{{- $top := index . 0 -}}
{{- $program := index . 1 -}}
{{- $files := index (include "preau.data" $top | fromYaml).secrets $program -}}
defaultMode: 0440
sources:
  - secret:
      name: {{ index $top.Values.secrets $program }}
      items:
        {{- range $files.needed }}
        - {key: {{ . }}, path: {{ . }}}
        {{- end }}
  {{- if $files.optional }}
  - secret:
      name: {{ index $top.Values.secrets $program }}
      optional: true
      items:
        {{- range $files.optional }}
        - {key: {{ . }}, path: {{ . }}}
        {{- end }}
  {{- end }}
{{- end }}

{{/* What every pod is held to. */}}
{{- define "preau.podGuards" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "preau.containerGuards" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
