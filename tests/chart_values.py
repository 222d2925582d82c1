"""Values of the Helm chart: every one that it understands, and some that it must not."""

from __future__ import annotations

import json
from typing import Any

DIGEST = f"sha256:{'0' * 64}"
SPACE = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]

# Every optional value of values.yaml, set to something else.
FLIPS: dict[str, Any] = {
    "image.repository": "registry.example.com:5000/group/name",
    "image.tag": f"1.2.3-{'x' * 56}.y",  # a label has room for 63 characters, and must not end with this dot
    "image.digest": DIGEST,
    "image.pullPolicy": "Always",
    "image.pullSecrets": ["registry"],
    "processes.serve.args": ["serve", "--help"],
    "processes.serve.replicas": 1,
    "processes.serve.resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": "1500m", "memory": "2G"}},
    "processes.serve.autoscaling": {"min": 1, "max": 5, "cpuPercent": 50},
    "processes.worker": {
        "replicas": 1,
        "resources": {"requests": {"cpu": "1", "memory": "64Mi"}, "limits": {"memory": "64Mi"}},
        "autoscaling": {"min": 2, "max": 9, "queueLength": 100},
    },
    "processes.scheduler": {
        "replicas": 1,
        "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    },
    "processes.listen": {  # one of the team's own
        "args": ["listen", "--for-ever"],
        "replicas": 3,
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"memory": "1Mi"}},
    },
    "settings.APP_ENVIRONMENT": "staging",
    "settings.APP_DRAIN_SECONDS": 33.5,
    "settings.APP_SHUTDOWN_SECONDS": 90,
    "settings.APP_TASKS_SHUTDOWN_SECONDS": 300,
    "settings.APP_BACKGROUND_SECONDS": 70,
    "settings.APP_RESOURCE_SECONDS": 1,
    "settings.APP_BODY_LIMIT_BYTES": 104857600,
    "settings.APP_DOCS": False,
    "secrets": {"APP_HTTP_PROXY_PASSWORD": "some-secret/its.key"},
    "secrets.DATABASE_URL": None,
    "migration": None,
    "migration.args": ["db", "upgrade", "head"],
    "migration.seconds": 5,
    "ports.http": 8080,
    "ports.metrics": 8081,
    "ingress": {"enabled": True, "host": "a.example.com"},
    "ingress.className": "nginx",
    "ingress.host": "b.example.com",
    "ingress.tlsSecret": "tls",
    "ingress.annotations": {"cert-manager.io/cluster-issuer": "ours"},
    "networkPolicy.enabled": False,
    "networkPolicy.from": SPACE,
    "networkPolicy.to": [{"to": SPACE, "ports": [{"port": 5432}]}],
    "monitoring.enabled": True,
    "monitoring.interval": "10s",
    "monitoring.labels": {"release": "prometheus"},
    "preStopSeconds": 7,
    "serviceAccount.annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"},
    "pod.annotations": {"sidecar.istio.io/inject": "false"},
    "pod.labels": {"team": "ours"},
    "pod.spec": {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
        "volumes": [{"name": "data", "emptyDir": {}}],
    },
    "pod.volumeMounts": [{"name": "tmp", "mountPath": "/data"}],
    "extraManifests": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-mine"}, "data": {"a": "b"}}
    ],
}
# What these are flipped together with, to be seen.
WITH: dict[str, dict[str, Any]] = {
    "ingress.": {"ingress.enabled": True, "ingress.host": "a.example.com"},
    "monitoring.": {"monitoring.enabled": True},
}
OF_CAPABILITY = {
    "processes.worker": "tasks",
    "processes.scheduler": "tasks",
    "settings.APP_TASKS": "tasks",
    "migration": "database",
    "secrets.DATABASE_URL": "database",
}

WRONG: dict[str, Any] = {
    "imagee": {},
    "image.repository": "Registry/UPPER",
    "image.digest": "sha256:beef",
    "image.pullPolicy": "always",
    "processes.serve": None,
    "processes.serve.replica": 1,
    "processes.serve.replicas": "2",
    "processes.serve.autoscaling": {"min": 1, "max": 2},
    "processes.serve.resources.requests.memory": "128 MB",
    "processes.Listen": {},
    "settings.app_docs": "false",
    "settings.PORT": 80,
    "settings.APP_DRAIN_SECONDS": "5",
    "settings.APP_CORS_ORIGINS": ["*"],
    "secrets.APP_TOKEN": "correct-horse-battery",
    "migration.seconds": 0,
    "ports.http": 80,
    "ingress.enabled": True,
    "ingress.host": "https://a.example.com",
    "monitoring.interval": 30,
    "preStopSeconds": -1,
    "pod.spec": {"hostNetwork": True},
    "extraManifests": ["kind: ConfigMap"],
}


def flag(values: dict[str, Any]) -> list[str]:
    return [part for key, value in values.items() for part in ("--set-json", f"{key}={json.dumps(value)}")]


def flips(answers: dict[str, str | bool]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """What can be flipped in a service: the values before and after."""
    usable = {}
    for key, value in FLIPS.items():
        if all(answers.get(capability) for prefix, capability in OF_CAPABILITY.items() if key.startswith(prefix)):
            shown = next((values for prefix, values in WITH.items() if key.startswith(prefix)), {})
            before = {} if shown.get(key) == value else shown
            usable[key] = (before, {**shown, key: value})
    return usable
