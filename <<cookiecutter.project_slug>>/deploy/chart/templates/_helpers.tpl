{{/* Labels by which a process's pods are found: (list $ "serve"). */}}
{{- define "selector" -}}
{{- $root := first . -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with last . }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* Those, and what else all objects bear: (list $ "serve"), or (list $ "") for what belongs to no process. */}}
{{- define "labels" -}}
{{- $root := first . -}}
{{ include "selector" . }}
app.kubernetes.io/version: {{ $root.Values.image.tag | default $root.Chart.AppVersion | trunc 63 | trimAll "-._" | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{/* A number or a text as the text of an environment variable. Helm reads 1048576 as 1.048576e+06. */}}
{{- define "text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . | toString | quote }}{{ else }}{{ toString . | quote }}{{ end }}
{{- end }}

{{/* How long a pod may take to end: (list $). */}}
{{- define "grace" -}}
{{- $root := first . -}}
{{- $sum := addf 5 $root.Values.preStopSeconds -}}
{{- range $name, $value := $root.Values.settings -}}
{{- if regexMatch "^APP_(DRAIN|SHUTDOWN|TASKS_SHUTDOWN|BACKGROUND|RESOURCE)_SECONDS$" $name -}}
{{- $sum = addf $sum (float64 $value) -}}
{{- end -}}
{{- end -}}
{{ ceil $sum | int64 }}
{{- end }}

{{/* What every container of the image has, the migration's too: (list $ "serve"). */}}
{{- define "container" -}}
{{- $root := first . -}}
{{- $image := $root.Values.image -}}
image: {{ $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end }}
imagePullPolicy: {{ $image.pullPolicy }}
env:
  {{- range $name, $value := $root.Values.settings }}
  - { name: {{ $name }}, value: {{ include "text" $value }} }
  {{- end }}
  {{- range $name, $place := $root.Values.secrets }}
  - name: {{ $name }}
    valueFrom:
      secretKeyRef: { name: {{ dir $place }}, key: {{ base $place }} }
  {{- end }}
  {{- if eq (last .) "serve" }}
  - { name: PORT, value: "{{ $root.Values.ports.http }}" }
  - { name: ADMIN_PORT, value: "{{ $root.Values.ports.metrics }}" }
  {{- else if has (last .) (list "worker" "scheduler") }}
  - { name: APP_TASKS_PORT, value: "{{ $root.Values.ports.metrics }}" }
  {{- end }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: { drop: [ALL] }
  readOnlyRootFilesystem: true
volumeMounts:
  - { name: tmp, mountPath: /tmp }
  {{- with $root.Values.pod.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* What every pod has: (list $ "serve"). */}}
{{- define "pod" -}}
{{- $root := first . -}}
{{- $spec := $root.Values.pod.spec -}}
automountServiceAccountToken: false
enableServiceLinks: false # Kubernetes would set variables such as APP_PORT for a Service called app
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: { type: RuntimeDefault }
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: { sizeLimit: 64Mi }
  {{- with $spec.volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with omit $spec "volumes" }}
{{ toYaml . }}
{{- end }}
{{- end }}
