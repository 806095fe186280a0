// Writes docker/helm/schemas/kubernetes.json: the published schemas of the kinds of the chart, without descriptions and without what no
// kind of it refers to. They come from the Python package kubernetes-validate (Apache License 2.0), which carries them unchanged:
//
//   pip download --no-deps kubernetes-validate==1.37.0 && unzip kubernetes_validate-*.whl
//   node scripts/kubernetes-schemas.cjs kubernetes_validate/kubernetes-json-schema/v1.37.0-local/_definitions.json
const { readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');

const kinds = {
  'v1/ConfigMap': 'io.k8s.api.core.v1.ConfigMap',
  'v1/Secret': 'io.k8s.api.core.v1.Secret',
  'v1/Service': 'io.k8s.api.core.v1.Service',
  'v1/ServiceAccount': 'io.k8s.api.core.v1.ServiceAccount',
  'apps/v1/Deployment': 'io.k8s.api.apps.v1.Deployment',
  'apps/v1/StatefulSet': 'io.k8s.api.apps.v1.StatefulSet',
  'autoscaling/v2/HorizontalPodAutoscaler': 'io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler',
  'networking.k8s.io/v1/Ingress': 'io.k8s.api.networking.v1.Ingress',
  'networking.k8s.io/v1/NetworkPolicy': 'io.k8s.api.networking.v1.NetworkPolicy',
  'policy/v1/PodDisruptionBudget': 'io.k8s.api.policy.v1.PodDisruptionBudget',
};

const [source] = process.argv.slice(2);
if (source === undefined) throw new Error('usage: node scripts/kubernetes-schemas.cjs _definitions.json');
const published = JSON.parse(readFileSync(source, 'utf8')).$defs;
const definitions = {};

/** A schema with references into this file. An unknown field is an error, as with `kubectl --validate=strict`. */
function reduce(schema) {
  if (Array.isArray(schema)) return schema.map(reduce);
  if (typeof schema !== 'object' || schema === null) return schema;
  const result = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === '$ref') {
      const name = value.replace(/^.*#\/\$defs\//, '');
      result.$ref = `#/$defs/${name}`;
      include(name);
    } else if (key === 'properties') {
      result.properties = Object.fromEntries(
        Object.entries(value).map(([name, property]) => [name, reduce(property)]),
      );
      result.additionalProperties ??= false;
    } else if (key !== 'description' && !key.startsWith('x-') && key !== '$schema' && key !== '$id')
      result[key] = reduce(value);
  }
  return result;
}

function include(name) {
  if (name in definitions) return;
  if (!(name in published)) throw new Error(`no schema of ${name}`);
  definitions[name] = null;
  definitions[name] = reduce(published[name]);
}

for (const name of Object.values(kinds)) include(name);
const sorted = Object.fromEntries(Object.entries(definitions).sort(([a], [b]) => (a < b ? -1 : 1)));
const byKind = Object.fromEntries(Object.entries(kinds).map(([kind, name]) => [kind, `#/$defs/${name}`]));
// One definition a line: small, and a diff shows which one has changed.
const lines = Object.entries(sorted).map(
  ([name, schema]) => `    ${JSON.stringify(name)}: ${JSON.stringify(schema)}`,
);
writeFileSync(
  join(__dirname, '..', 'docker', 'helm', 'schemas', 'kubernetes.json'),
  `{\n  "$id": "kubernetes",\n  "kinds": ${JSON.stringify(byKind)},\n  "$defs": {\n${lines.join(',\n')}\n  }\n}\n`,
);
